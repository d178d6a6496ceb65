# Everything a contributor runs. README.md has the two commands that matter: the demo, and "make test".
.PHONY: test fuzz

# make test passes every test. It needs Go and npm, and installs the rest itself.
test:
	@./script/test

# make fuzz fuzzes every parser of foreign input for a while: FUZZTIME=1m make fuzz.
fuzz:
	@./script/fuzz
