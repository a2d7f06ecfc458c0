// Package wire is the byte protocol between the server and a worker process,
// as TorchServe 0.12 speaks it (reference: worker-protocol.md, prefix WRK).
//
// It is pure: io.Reader and buffers in, values out. No goroutines, no logging,
// no clock. Every length is checked against a limit before memory is taken.
//
// # Layout
//
// All integers are signed 32-bit big-endian. str is a length and UTF-8 bytes,
// bytes a length and raw bytes, END the length -1, which closes a list in place
// of its next element's first length.
//
//	load      := 'L' str(name) str(path) int32(batch) str(handler)
//	             int32(gpu) str(envelope) bool(limitPixels)
//	infer     := 'I' request* END
//	request   := str(id) header* END parameter* END
//	header    := str(name) str(value)
//	parameter := str(name) str(contentType) bytes(value)
//	response  := int32(code) str(message) item* END
//	item      := str(id) str(contentType) int32(status) str(phrase)
//	             int32(n) ( str(name) str(value) ){n} bytes(body)
//
// The header list of an item is the only one with a count in front.
//
// An Encoder and a Reader belong to one connection and must not be used
// concurrently.
package wire
