module nocreds.dev/examples/mutual-tls

go 1.24
