// Package config turns environment variables into settings.
//
// [Table] is the single source of what can be set: parsing, the pointing out of misspelt names and the reference in
// docs/settings.md all read it. [Parse] reports every fault at once; each names the variable, what is wrong with it
// and what to do. No fault and no warning ever quotes the value of a secret, nor a value of any setting that is long
// or may be a secret, since people swap variables. A private key is refused wherever it does not belong.
//
// # Where a setting comes from
//
// A setting's own name wins over its fallback names, and the environment wins over a configuration file (see
// [FromFile]). A variable that is empty or blank counts as not set, because that is how compose files and
// deployment forms write "nothing".
//
// # How a value is read
//
// White space around a value is dropped. So is one pair of quotes around all of it, with a warning: docker --env-file
// and several dashboards keep the quotes that a shell or a dotenv library would have removed, and no setting has a
// sensible value that stands in quotes.
package config
