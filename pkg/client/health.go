package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Ready reports whether every model has its workers and the server is not
// stopping. It needs no key, unless the server is TorchServe 0.12, which is asked
// for its /ping.
func (c *Client) Ready(ctx context.Context) (bool, error) {
	ready, err := c.healthy(ctx, "/readyz", noKey)
	refusal, ok := errors.AsType[*AnswerError](err)
	if ok && (refusal.Type == "InvalidKeyException" || refusal.Type == "ResourceNotFoundException") {
		return c.healthy(ctx, "/ping", Inference)
	}
	return ready, err
}

func (c *Client) healthy(ctx context.Context, path string, key Kind) (bool, error) {
	status, err := c.status(ctx, call{method: http.MethodGet, at: c.cfg.Inference, key: key, path: path})
	if refusal, ok := errors.AsType[*AnswerError](err); ok && refusal.Status >= http.StatusInternalServerError &&
		strings.Contains(refusal.Text, `"Unhealthy"`) {
		return false, nil
	}
	if err == nil && status == "" {
		return false, fmt.Errorf("GET %v%s: the answer says nothing about health", c.cfg.Inference, path)
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
