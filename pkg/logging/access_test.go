package logging_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/logging"
)

func TestAccessLog(t *testing.T) {
	t.Parallel()
	ping := logging.AccessLine{
		Remote: "127.0.0.1:64003", Method: "GET", URI: "/ping", Protocol: "HTTP/1.1", Status: 200, Elapsed: 4*time.Millisecond + 999*time.Microsecond,
	}
	for name, c := range map[string]struct {
		change func(l *logging.AccessLine)
		want   string
	}{
		"LOG-013 INF-140 a REST request": {
			func(*logging.AccessLine) {}, `/127.0.0.1:64003 "GET /ping HTTP/1.1" 200 4`,
		},
		"LOG-014 INF-140 the target is raw": {
			func(l *logging.AccessLine) {
				l.Method, l.URI = "POST", "/models?url=res%20net%2F18.mar&initial_workers=1&a=%C3%A9+b"
			},
			`/127.0.0.1:64003 "POST /models?url=res%20net%2F18.mar&initial_workers=1&a=%C3%A9+b HTTP/1.1" 200 4`,
		},
		"LOG-015 a unix socket": {
			func(l *logging.AccessLine) { l.Remote = "@" }, `127.0.0.1 "GET /ping HTTP/1.1" 200 4`,
		},
		"LOG-015 an unnamed unix socket": {
			func(l *logging.AccessLine) { l.Remote = "" }, `127.0.0.1 "GET /ping HTTP/1.1" 200 4`,
		},
		"LOG-016 a gRPC call": {
			func(l *logging.AccessLine) {
				l.Method, l.URI, l.Protocol, l.Status = "gRPC", "org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions", "HTTP/2.0", 0
			},
			`/127.0.0.1:64003 "gRPC org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions HTTP/2.0" 0 4`,
		},
		"IPv6 is written out": {
			func(l *logging.AccessLine) { l.Remote = "[::1]:40312" }, `/[0:0:0:0:0:0:0:1]:40312 "GET /ping HTTP/1.1" 200 4`,
		},
		"IPv6 in hexadecimal without zeros": {
			func(l *logging.AccessLine) { l.Remote = "[FE80::AB:0cd%eth0]:1" }, `/[fe80:0:0:0:0:0:ab:cd%eth0]:1 "GET /ping HTTP/1.1" 200 4`,
		},
		"IPv4 that came over IPv6": {
			func(l *logging.AccessLine) { l.Remote = "[::ffff:10.0.0.1]:1" }, `/10.0.0.1:1 "GET /ping HTTP/1.1" 200 4`,
		},
		"control characters": {
			func(l *logging.AccessLine) { l.Method, l.URI, l.Protocol = "G\nT", "/a\r\x7f?b\x00=\x1f", "H\tP" },
			`/127.0.0.1:64003 "G\x0aT /a\x0d\x7f?b\x00=\x1f H\x09P" 200 4`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nil)
			line := ping
			c.change(&line)
			b.Access("http-1").Log(line)
			b.end(t)
			assert.Equal(t, stamp+" - "+c.want+"\n", b.read(t, "access_log.log"))
			assert.Equal(t, stamp+" [INFO ] http-1 ACCESS_LOG - "+c.want+"\n", b.console.String())
		})
	}
}
