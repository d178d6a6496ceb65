module coze-token

go 1.26.0

toolchain go1.26.4

require golang.org/x/time v0.16.0

require pgregory.net/rapid v1.3.0
