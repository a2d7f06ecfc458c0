package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Ready reports whether every model has its workers and the server is not
// stopping. It needs no key.
func (c *Client) Ready(ctx context.Context) (bool, error) {
	status, err := c.status(ctx, call{method: http.MethodGet, at: c.cfg.Inference, key: noKey, path: "/readyz"})
	if refusal, ok := errors.AsType[*AnswerError](err); ok && refusal.Status == http.StatusServiceUnavailable &&
		strings.Contains(refusal.Text, `"Unhealthy"`) {
		return false, nil
	}
	return status == "Healthy", err
}

// Version returns the release that the server stands for. It needs no key.
func (c *Client) Version(ctx context.Context) (string, error) {
	var description struct {
		Info struct {
			Version string `json:"version"`
		} `json:"info"`
	}
	_, err := c.ask(ctx, call{method: http.MethodGet, at: c.cfg.Management, key: noKey, path: "/api-description"}, &description)
	return description.Info.Version, err
}

// Renew has the server make a new key of a kind, Inference or Management, and
// write it to its key file; the old one is dead at once.
func (c *Client) Renew(ctx context.Context, kind Kind) error {
	answer, err := c.send(ctx, call{
		method: http.MethodPost, at: c.cfg.Management, key: API, path: "/token", query: url.Values{"type": {string(kind)}},
	})
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxRefusal)) // an empty line
	return answer.Body.Close()
}
