package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/config"
	"github.com/torchserve-go/torchserve/pkg/fault"
)

// undoLimit bounds everything that is undone after the grace for requests:
// workers get their seconds to end, the log its seconds to be written.
const undoLimit = 30 * time.Second

// Run builds a server and serves until ctx ends, which is no error, or until a
// listener fails. When it returns nothing of the server is left.
func Run(ctx context.Context, cfg config.Config, d Deps) error {
	s, err := New(ctx, cfg, d)
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// Run serves until ctx ends or a listener fails, then stops. Call it once.
func (s *Server) Run(ctx context.Context) error {
	err := s.serveUntil(ctx)
	if err != nil {
		s.complain(err)
	}
	return errors.Join(err, s.stop(context.WithoutCancel(ctx)))
}

func (s *Server) serveUntil(ctx context.Context) error {
	if s.deps.Accepted != nil {
		if err := s.deps.Accepted(); err != nil {
			return err
		}
	}
	if err := s.restore(ctx); err != nil {
		return err
	}
	s.loadModels(ctx)
	select {
	case <-ctx.Done(): // told to stop before it has answered anybody
		return nil
	default:
	}
	failed := make(chan error, len(s.doors)) // one failure per listener: nobody waits to say it
	s.serve(failed)
	s.journal.Open(s.service.Served)
	s.announce("Model server started.")
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case <-s.deps.Reload:
			if err := s.keys.Reload(); err != nil {
				s.complain(err)
			}
		}
	}
}

// complain logs why the server ends, or cannot do what it was told: a line for
// each failure where err joins several.
func (s *Server) complain(err error) {
	first, more, several := strings.Cut(err.Error(), "\n")
	e := s.log.Error()
	if several {
		e = e.Str(zerolog.ErrorFieldName, more)
	}
	e.Msg(first)
}

// announce writes a line that scripts wait for to standard output, whether the
// log goes there or not.
func (s *Server) announce(line string) {
	if s.cfg.Logs.Console {
		s.logs.Announce(line) // in order with the log
		return
	}
	_, _ = fmt.Fprintln(s.deps.Stdout, line) // a closed output is no reason to end
}

// stop is what the package comment says under Stop; ctx is not ended.
func (s *Server) stop(ctx context.Context) error {
	grace, cancel := context.WithTimeoutCause(ctx, s.cfg.Server.ShutdownGrace, fault.New(fault.Busy, ""))
	defer cancel()
	s.service.Refuse() // what is changed from now on is not in the last snapshot
	s.journal.Close(s.service.Served)
	var answered sync.WaitGroup
	answered.Go(func() { s.shut(grace) })
	err := s.service.Close(grace)
	answered.Wait()

	ctx, cancel = context.WithTimeout(ctx, undoLimit)
	defer cancel()
	return errors.Join(err, s.undo.unwind(ctx))
}

// shut stops accepting and blocks until the requests in flight have their
// answers or ctx ends.
func (s *Server) shut(ctx context.Context) {
	var all sync.WaitGroup
	for _, d := range s.doors {
		all.Go(func() { _ = d.server.Shutdown(ctx) }) // its only error says that ctx has ended
	}
	all.Wait()
}

// lingering is how long requests that were refused at the end of the grace have
// to take their answer.
const lingering = 2 * time.Second

// closeDoors closes the listeners and, after a moment for the last answers,
// their connections.
func (s *Server) closeDoors(ctx context.Context) error {
	last, cancel := context.WithTimeout(ctx, lingering)
	defer cancel()
	s.shut(last)
	errs := make([]error, 0, len(s.doors))
	for _, d := range s.doors {
		errs = append(errs, d.server.Close(), ignoreClosed(d.listener.Close()))
		s.log.Info().Msgf("%s model server stopped.", d.role)
	}
	s.serving.Wait()
	return errors.Join(errs...)
}

// ignoreClosed drops the error of a listener that its server has closed.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
