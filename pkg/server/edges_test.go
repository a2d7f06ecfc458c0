package server

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/config"
)

func TestRESTConfig(t *testing.T) {
	t.Parallel()
	s := &Server{deps: Deps{Version: "1.2.3"}, cfg: config.Config{HTTP: config.HTTP{
		MaxRequest: 7, CORS: config.CORS{Origin: "o", Methods: "m", Headers: "h"},
		Sequence: config.SequenceHeaders{ID: "i", Start: "s", End: "e"},
	}}}
	c := s.restConfig()
	assert.Equal(t, "1.2.3", c.Version)
	assert.EqualValues(t, 7, c.MaxRequestSize)
	assert.Equal(t, []string{"i", "s", "e"}, c.SequenceHeaders)
	assert.Equal(t, "o", c.CORS.Origin)
}
