# Builds the program, and an image that holds it and nothing else. docs/deploy.md says how it is run.
# deploy/package/Dockerfile packs a released program.
FROM golang:1.26 AS build
WORKDIR /src
# Where modules come from; in mainland China: docker build --build-arg GOPROXY=https://goproxy.cn,direct
ARG GOPROXY
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /coze-token ./cmd/coze-token

# The program, which has root certificates in it, a user without rights, and no shell.
FROM scratch
COPY --from=build /coze-token /coze-token
USER 65532:65532
ENV PORT=8787
EXPOSE 8787
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/coze-token", "health"]
ENTRYPOINT ["/coze-token"]
CMD ["serve"]
