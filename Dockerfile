# Builds an image that holds the program and nothing else. docs/deploy.md says how it is run.
FROM golang:1.26 AS build
WORKDIR /src
# Where modules come from; in mainland China: docker build --build-arg GOPROXY=https://goproxy.cn,direct
ARG GOPROXY
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /coze-token ./cmd/coze-token

# Root certificates, the program, a user without rights, and no shell.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /coze-token /coze-token
USER 65532:65532
ENV PORT=8787
EXPOSE 8787
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/coze-token", "health"]
ENTRYPOINT ["/coze-token"]
CMD ["serve"]
