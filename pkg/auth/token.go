package auth

import (
	"io"
	"net/http"

	"github.com/torchserve-go/torchserve/pkg/fault"
)

// Token answers /token behind the guard: it replaces the key that the query
// parameter type names ("inference" or "management") and its expiry. The new
// key is in the key file, not in the answer. It returns faults of the kinds
// RouteNotFound (authorization is off), MethodNotAllowed, Conflict (keys come
// from outside), BadRequest (type) and Internal (the file cannot be written);
// then nothing has changed and nothing is answered.
func (k *Keys) Token(w http.ResponseWriter, r *http.Request) error {
	if !k.cfg.Enabled {
		return fault.New(fault.RouteNotFound, fault.RouteNotFoundMessage)
	}
	if err := k.token(r); err != nil {
		k.cfg.HandlerLog.Error().Msg(failedUpdate)
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "1")
	_, _ = io.WriteString(w, "\n") // a client that has gone finds the key in the file
	return nil
}

func (k *Keys) token(r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		return fault.New(fault.MethodNotAllowed, fault.MethodNotAllowedMessage)
	}
	if k.cfg.KeysFile != "" {
		return fault.New(fault.Conflict, "The keys come from token_keys_file: replace them there.")
	}
	var kind Scope
	switch r.URL.Query().Get("type") {
	case Inference.String():
		kind = Inference
	case Management.String():
		kind = Management
	default:
		return fault.New(fault.BadRequest, "Parameter type must be management or inference.")
	}
	if err := k.renew(kind); err != nil {
		return fault.Wrap(fault.Internal, failedUpdate, err)
	}
	return nil
}
