package main

import (
	"context"
	"net"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"

	"github.com/torchserve-go/torchserve/pkg/config"
	"github.com/torchserve-go/torchserve/pkg/device"
	"github.com/torchserve-go/torchserve/pkg/server"
)

// serve is the server itself; it returns its exit code when it has ended.
func (l *launcher) serve(ctx context.Context, cfg config.Config, devices device.Set) int {
	report := newReporter()
	signals := watchSignals(ctx, cfg.Security.TokenKeysFile != "")
	defer signals.stop()
	defer l.pids.removeOwn()
	err := server.Run(signals.ctx, cfg, server.Deps{ //nolint:contextcheck // made from ctx
		Version: version,
		Environ: os.Environ(),
		Devices: devices,
		Stdout:  l.stdout,
		Stderr:  l.stderr,
		Reload:  signals.reload,
		Accepted: func() error {
			if err := l.pids.write(os.Getpid()); err != nil {
				return err
			}
			report.accept()
			return nil
		},
	})
	switch {
	case err == nil:
		return exitOK
	case report.refuse(err): // the command that waits tells it
		return exitFailed
	default:
		return l.fail(err)
	}
}

// signals are what the operator tells a running server.
type signals struct {
	ctx    context.Context //nolint:containedctx // handed on by serve, not kept
	reload chan struct{}   // read the keys file anew
	stop   func()
}

// watchSignals turns signals into a context and a channel (CLI §12.1). The
// first SIGTERM, SIGINT or SIGHUP stops the server, the second one ends it at
// once; SIGQUIT writes the goroutines to standard error; a terminal that was
// closed is no reason to end. With reloads, SIGHUP means to read the keys file
// anew (decisions.md, "API key").
func watchSignals(ctx context.Context, reloads bool) signals {
	ctx, cancel := context.WithCancel(ctx)
	s := signals{ctx: ctx, reload: make(chan struct{}, 1)} // one reload to come is enough
	signal.Ignore(syscall.SIGPIPE)
	incoming := make(chan os.Signal, 4) // more than a person sends at once
	signal.Notify(incoming, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for sig := range incoming {
			switch {
			case sig == syscall.SIGQUIT:
				_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 2) // for a person who looks
			case sig == syscall.SIGHUP && reloads:
				select {
				case s.reload <- struct{}{}:
				default:
				}
			case ctx.Err() != nil:
				os.Exit(exitFailed)
			default:
				cancel()
			}
		}
	}()
	s.stop = func() {
		signal.Stop(incoming)
		close(incoming)
		<-done
		cancel()
	}
	return s
}

// resolve looks up a host of the configuration.
func resolve(host string) error {
	_, err := net.DefaultResolver.LookupHost(context.Background(), host)
	return err //nolint:wrapcheck // the configuration words it
}
