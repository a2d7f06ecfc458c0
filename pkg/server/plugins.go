package server

import (
	"github.com/torchserve-go/torchserve/pkg/plugin"
	"github.com/torchserve-go/torchserve/pkg/rest"
)

// endpoints returns the native endpoints that were asked for.
func (s *Server) endpoints() []rest.Endpoint {
	env := environment(s.deps.Environ)
	c := plugin.Config{
		MaxTransforms:  s.cfg.Server.Plugins.MaxTransforms,
		MaxRequestSize: s.cfg.HTTP.MaxRequest,
		MultiModel:     env["SAGEMAKER_MULTI_MODE"],
		Handler:        s.cfg.Models.Handler,
	}
	var all []rest.Endpoint
	for _, k := range s.plugins {
		if h := plugin.Handler(k, c, s.service); h != nil {
			all = append(all, rest.Endpoint{Pattern: k.Pattern(), Handler: h})
		}
	}
	return all
}
