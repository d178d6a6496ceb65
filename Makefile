# Everything a contributor runs. README.md has the two commands that matter: the demo, and "make test".
.PHONY: test fuzz bench bench-worker

# make test passes every test. It needs Go and npm, and installs the rest itself.
test:
	@./script/test

# make fuzz fuzzes every parser of foreign input for a while: FUZZTIME=1m make fuzz.
fuzz:
	@./script/fuzz

# make bench measures the native server against other ways of doing the same, in about two minutes: docs/performance.md.
bench:
	@go run ./bench

# make bench-worker does the same for the Worker, in workerd.
bench-worker: node_modules
	@npm run --silent bench-worker

node_modules:
	@npm ci --no-audit --no-fund --loglevel=error
