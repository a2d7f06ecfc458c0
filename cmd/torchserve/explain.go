package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/torchserve-go/torchserve/pkg/client"
)

// explain adds to an error of a call what can be done about it.
func (s *session) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*hintedError](err); ok {
		return err
	}
	if refusal, ok := errors.AsType[*client.AnswerError](err); ok {
		return hinted(err, s.remedy(ctx, refusal))
	}
	_, unreachable := errors.AsType[*client.UnreachableError](err)
	switch {
	case untrusted(err) && s.here() && s.cfg.Listen.TLS.SelfSigned():
		return hint(err, "The server made its certificate itself when it started, and nobody vouches for it: --insecure accepts it, certificate_file gives it a lasting one.")
	case untrusted(err) && s.here():
		return hint(err, "Was the certificate replaced since the start of the server? Restart it, or accept any certificate with --insecure.")
	case untrusted(err):
		return hint(err, "SSL_CERT_FILE names a file with the certificates to trust; --insecure accepts any.")
	case unreachable && s.here():
		return hint(err, "Its process %d runs: it may be starting or stopping, see torchserve logs.", s.pid)
	case unreachable:
		return hint(err, "Is it running, and is the address right? --address names the inference, --management-address the management listener.")
	case errors.Is(err, context.DeadlineExceeded):
		return hint(err, "The server did not answer in time: torchserve status, torchserve logs.")
	default:
		return err
	}
}

func hinted(err error, advice string) error {
	if advice == "" {
		return err
	}
	return hint(err, "%s", advice)
}

// remedy says what can be done about a refusal; empty: it speaks for itself.
func (s *session) remedy(ctx context.Context, refusal *client.AnswerError) string {
	switch {
	case refusal.Type == "InvalidKeyException":
		return s.aboutKeys()
	case refusal.Type == "MethodNotAllowedException":
		return s.aboutModelAPI()
	case refusal.Type == "ModelNotFoundException" || refusal.Type == "ModelVersionNotFoundException":
		return s.aboutModels(ctx)
	case refusal.RetryAfter > 0:
		return fmt.Sprintf("The server asks to try again in %v. Its workers: torchserve status", refusal.RetryAfter)
	case refusal.Status >= http.StatusInternalServerError && refusal.Type != "":
		return "What the model's handler said: torchserve logs model"
	default:
		return ""
	}
}

// aboutKeys says which keys were used, and what is wrong with them if that shows.
func (s *session) aboutKeys() string {
	if s.keyFile == "" {
		return "No key was sent: --key-file or " + keyFileVariable + " names the file with the keys."
	}
	keys, err := s.keys()
	if err != nil {
		return "The keys were read from " + s.keyFile + "."
	}
	var expired []string
	for _, kind := range []client.Kind{client.Inference, client.Management} {
		if k := keys[kind]; k.Expired(time.Now()) {
			expired = append(expired, fmt.Sprintf("The %s key expired %s; a new one: torchserve token %s", kind, moment(k.Expires), kind))
		}
	}
	if len(expired) == 0 {
		expired = append(expired, "Are they another server's, or older than its last start? --key-file names another file.")
	}
	return "The keys were read from " + s.keyFile + ".\n" + strings.Join(expired, "\n")
}

func (s *session) aboutModelAPI() string {
	where := "config.properties"
	if s.here() && s.cfg.Source.File != "" {
		where = s.cfg.Source.File
	}
	return "Registering and unregistering by calls is off unless the server is started with --enable-model-api, or enable_model_api=true stands in " + where + "."
}

// aboutModels names the models that are there, if the server says so in time.
func (s *session) aboutModels(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	models, err := s.api.List(ctx)
	switch {
	case err != nil:
		return "Those that are there: torchserve models"
	case len(models) == 0:
		return "No model is registered: torchserve register ARCHIVE"
	}
	const most = 20
	names := make([]string, 0, most)
	for _, m := range models[:min(most, len(models))] {
		names = append(names, string(m.Name))
	}
	if len(models) > most {
		names = append(names, "…")
	}
	return "Registered here: " + strings.Join(names, ", ")
}
