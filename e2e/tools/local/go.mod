module nocreds.dev/e2e/tools/local

go 1.26.0
