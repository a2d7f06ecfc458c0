package server

import (
	"context"
	"strings"

	"github.com/torchserve-go/torchserve/pkg/logging"
)

// later are the keys that are read and checked, but have no effect before the
// parts come that they belong to. A name that ends in _ stands for all that
// begin with it.
//
//nolint:gochecknoglobals // read-only table
var later = []string{
	"grpc_", "enable_grpc_ssl", "oip_raw_bytes_output", "openai_routes",
	"disable_system_metrics", "system_metrics_cmd", "metric_time_interval",
}

// warnOfLater says which keys somebody has set in vain.
func (s *Server) warnOfLater(context.Context) error {
	var idle []string
	for _, p := range s.cfg.Effective() {
		if isLater(p.Key) {
			idle = append(idle, p.Key)
		}
	}
	if len(idle) > 0 {
		log := s.logs.Logger(logging.ConfigManager, logging.MainThread)
		log.Warn().Msg("Keys without effect in this version: " + strings.Join(idle, ", "))
	}
	return nil
}

func isLater(key string) bool {
	for _, l := range later {
		if key == l || strings.HasSuffix(l, "_") && strings.HasPrefix(key, l) {
			return true
		}
	}
	return false
}
