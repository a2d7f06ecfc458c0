module github.com/torchserve-go/torchserve

go 1.26
