package archive_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/archive"
)

// tube is a network whose only host is on its other end; time in it is
// virtual. Downloads reach it as a proxy, which may be dialed in other ways.
type tube struct{ host func(net.Conn) }

func (tb tube) configure(cfg *archive.Config) {
	cfg.Transport = &http.Transport{
		Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: "tube"}),
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer func() { _ = far.Close() }()
				tb.host(far)
			}()
			return near, nil
		},
	}
	cfg.Limits.Wait, cfg.Limits.Time, cfg.Limits.Download = 5*time.Minute, 24*time.Hour, 1<<20
}

// answers reads a request and sends the pieces of an answer, with a pause
// before each.
func answers(pause time.Duration, pieces ...string) func(net.Conn) {
	return func(c net.Conn) {
		request := make([]byte, 4096)
		if _, err := c.Read(request); err != nil {
			return
		}
		for _, piece := range pieces {
			time.Sleep(pause) //nolint:forbidigo // virtual
			if _, err := io.WriteString(c, piece); err != nil {
				return
			}
		}
	}
}

// head is the head of an answer, with a length if it is not negative.
func head(length int, lines ...string) string {
	if length >= 0 {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", length))
	}
	return "HTTP/1.1 200 OK\r\n" + strings.Join(append(lines, "", ""), "\r\n")
}

// letters returns the text in pieces of n bytes.
func letters(text string, n int) []string {
	var pieces []string
	for ; len(text) > n; text = text[n:] {
		pieces = append(pieces, text[:n])
	}
	return append(pieces, text)
}

func TestPatience(t *testing.T) {
	t.Parallel()
	content := string(zipped(t, noop()))
	size := len(content)
	const never = 100 * 24 * time.Hour
	for name, c := range map[string]struct {
		host    func(net.Conn)
		details string // empty: it is downloaded
		after   time.Duration
	}{
		"slow but alive":               {answers(4*time.Minute, append([]string{head(size)}, letters(content, 100)...)...), "", 0},
		"no answer":                    {answers(never, head(size)), "no data for 5m0s (archive_download_wait_sec)", 5 * time.Minute},
		"a head byte by byte":          {answers(time.Minute, letters(head(size), 1)...), "no data for 5m0s (archive_download_wait_sec)", 5 * time.Minute},
		"an end before the length":     {answers(0, head(size), content[:size/2]), "", -1},
		"an end before the last chunk": {answers(0, head(-1, "Transfer-Encoding: chunked"), "10\r\n"+content[:16]+"\r\n"), "", -1},
		"no chunks":                    {answers(0, head(-1, "Transfer-Encoding: chunked"), "what?\r\n"), "", -1},
		"no HTTP":                      {answers(0, "what?\r\n\r\n"), "", -1},
		"nothing":                      {answers(0), "", -1},
		"a body byte by byte":          {answers(4*time.Minute, append([]string{head(size)}, letters(content, 1)...)...), "not complete after 24h0m0s (archive_max_download_sec)", 24 * time.Hour},
		"a body without an end":        {answers(time.Second, append([]string{head(-1)}, letters(strings.Repeat("x", 1<<21), 1<<16)...)...), "larger than 1048576 bytes (archive_max_download_bytes)", 18 * time.Second},
		"a length that is too large":   {answers(0, head(1<<20+1), "x"), "larger than 1048576 bytes (archive_max_download_bytes)", 0},
		"an archive in many pieces":    {answers(time.Second, append([]string{head(size)}, letters(content, 10)...)...), "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, tube{c.host}.configure)
				start := time.Now()
				request := archive.Request{URL: "http://models.example/noop.mar"}
				switch {
				case c.after < 0: // the connection ends
					f.refused(t, request, 400, downloadType, "Failed to download archive from: "+request.URL)
				case c.details == "":
					require.NoError(t, f.opened(t, request).Remove())
				default:
					assert.Equal(t, c.details, f.refused(t, request, 400, downloadType, "Failed to download archive from: "+request.URL))
					assert.Equal(t, c.after, time.Since(start))
				}
				assert.Empty(t, tree(t, f.models))
				time.Sleep(2 * never) //nolint:forbidigo // virtual; the host ends, too
			})
		})
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	content := string(zipped(t, noop()))
	pieces := letters(content, (len(content)+3)/4)
	chunks := []string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"}
	for _, piece := range pieces {
		chunks = append(chunks, fmt.Sprintf("%x\r\n%s\r\n", len(piece), piece))
	}
	line := func(n int, of string) string {
		return fmt.Sprintf("Downloading noop.mar: %d%s bytes", n*len(pieces[0]), of)
	}
	for name, c := range map[string]struct {
		host func(net.Conn)
		want []string
	}{
		"a length that is known": {
			answers(3*time.Second, append([]string{head(len(content))}, pieces...)...),
			[]string{line(1, fmt.Sprintf(" of %d", len(content))), line(3, fmt.Sprintf(" of %d", len(content)))},
		},
		"one that is not":          {answers(3*time.Second, append(chunks, "0\r\n\r\n")...), []string{line(1, ""), line(3, "")}},
		"a download that is quick": {answers(0, append([]string{head(len(content))}, pieces...)...), []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, tube{c.host}.configure)
				f.opened(t, archive.Request{URL: "http://models.example/noop.mar?signature=secret"})
				assert.Equal(t, c.want, f.log.lines(t, "info"))
				assert.NotContains(t, f.log.text.String(), "secret")
			})
		})
	}
}
