package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/torchserve-go/torchserve/pkg/config"
	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/listen"
	"github.com/torchserve-go/torchserve/pkg/logging"
)

// The roles of REST listeners, in the order in which they are bound.
const (
	roleInference  = "Inference"
	roleManagement = "Management"
	roleMetrics    = "Metrics"
)

// bind opens all listeners; nothing answers on them yet. It comes before the
// steps that others can see: a start that finds its addresses taken must leave
// the key file alone, which may be that of the server that has them.
func (s *Server) bind(ctx context.Context) error {
	s.undo.push("addresses", s.release)
	ctx = context.WithoutCancel(ctx) // it takes no time, and a stop is no failure of it
	for _, d := range s.plan() {
		secure, err := s.secure(d.address)
		if err != nil {
			return err
		}
		d.listener, err = listen.Open(ctx, d.address.Network(), d.address.Endpoint(), secure)
		if err != nil {
			return &fault.Error{
				Op: "Failed to bind to address", Subject: d.address.String(), Err: err,
				Hint: s.remedy(d, err),
			}
		}
		s.doors = append(s.doors, d)
	}
	return nil
}

// release closes the listeners of a start that fails before they have a server.
func (s *Server) release(context.Context) error {
	errs := make([]error, 0, len(s.doors))
	for _, d := range s.doors {
		errs = append(errs, ignoreClosed(d.listener.Close()))
	}
	return errors.Join(errs...)
}

// furnish puts the handlers behind the doors.
func (s *Server) furnish(context.Context) error {
	edges := s.edges()
	for _, d := range s.doors {
		switch {
		case d.role == roleMetrics:
			d.server.Handler = edges.metrics
		case d.role == roleManagement:
			d.server.Handler = edges.management
		case s.cfg.Listen.Inference.Same(s.cfg.Listen.Management):
			d.server.Handler = edges.combined
		default:
			d.server.Handler = edges.inference
		}
	}
	return nil
}

// remedy says what to do about an address that cannot be had for the reason
// err.
func (s *Server) remedy(d *door, err error) string {
	key := strings.ToLower(d.role) + "_address"
	for _, other := range s.doors {
		if other.address.Same(d.address) {
			return key + " must differ from " + strings.ToLower(other.role) + "_address"
		}
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		return "change " + key
	}
	return "stop what uses it or change " + key
}

// plan lists the listeners that the configuration asks for.
func (s *Server) plan() []*door {
	l := s.cfg.Listen
	doors := []*door{{role: roleInference, address: l.Inference}}
	if !l.Inference.Same(l.Management) {
		doors = append(doors, &door{role: roleManagement, address: l.Management})
	}
	if s.cfg.Metrics.API {
		doors = append(doors, &door{role: roleMetrics, address: l.Metrics})
	}
	for _, d := range doors {
		d.server = s.httpServer()
	}
	return doors
}

// httpServer returns an HTTP server that has no handler yet; HTTP/2 is on over
// TLS, and without TLS by setting only.
func (s *Server) httpServer() *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(s.cfg.HTTP.H2C)
	return &http.Server{
		ReadHeaderTimeout: s.cfg.HTTP.HeaderTimeout,
		IdleTimeout:       s.cfg.HTTP.IdleTimeout,
		MaxHeaderBytes:    maxHeader,
		Protocols:         &protocols,
		ErrorLog:          s.netLog(),
		// OPTIONS * asks for the API description (INF-D7).
		DisableGeneralOptionsHandler: true,
	}
}

// maxHeader is the size in bytes of a request's header block that is read;
// larger ones are answered with 431.
const maxHeader = 1 << 20

// secure returns what makes a listener at a speak TLS, nil for a plain one.
func (s *Server) secure(a config.Address) (*listen.Secure, error) {
	if a.Scheme != config.HTTPS {
		return nil, nil //nolint:nilnil // no TLS is a good answer
	}
	t := s.cfg.Listen.TLS
	certificates := listen.Certificates{
		Keystore: t.Keystore, KeystorePassword: t.Password,
		KeyFile: t.Key, CertificateFile: t.Certificate,
	}
	if certificates.SelfSigned() {
		s.log.Warn().Msgf("No certificate is configured for %v: clients will not trust the one made now; set private_key_file and certificate_file, or keystore", a)
	}
	c, err := certificates.Load()
	if err != nil {
		return nil, fmt.Errorf("TLS for %v: %w", a, err)
	}
	log := s.logs.Logger(logging.HTTPRequestHandler, logging.MainThread)
	return &listen.Secure{Config: c, Plain: func(net.Addr) {
		log.Error().Msg("Recieved HTTP request!") //nolint:misspell // compat(0.12): CFG §10
		s.metrics.Answered(http.StatusForbidden)
	}}, nil
}

// socketClass is 0.12's name for the kind of a listener; scripts know the line.
func socketClass(a config.Address) string {
	if a.Scheme == config.Unix {
		return "EpollServerDomainSocketChannel"
	}
	return "EpollServerSocketChannel"
}

// serve lets every door answer; a failure of one ends the server.
func (s *Server) serve(failed chan<- error) {
	for _, d := range s.doors {
		s.log.Info().Msgf("Initialize %s server with: %s.", d.role, socketClass(d.address))
		s.serving.Go(func() {
			if err := d.serve(); err != nil {
				failed <- fmt.Errorf("%s listener: %w", strings.ToLower(d.role), err)
			}
		})
		s.log.Info().Msgf("%s API bind to: %s", d.role, d.bound())
	}
}

// serve blocks until the door is shut; that is no error.
func (d *door) serve() error {
	if err := d.server.Serve(d.listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// bound returns the address as the log shows it, with the real port.
func (d *door) bound() string {
	if tcp, ok := d.listener.Addr().(*net.TCPAddr); ok && d.address.Port == 0 {
		a := d.address
		a.Port = tcp.Port
		return a.String()
	}
	return d.address.String()
}
