package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/torchserve-go/torchserve/pkg/config"
	"github.com/torchserve-go/torchserve/pkg/device"
)

// launcher carries out one call of the command (CLI §2).
type launcher struct {
	stdout, stderr io.Writer
	pids           pidFile
}

// run decides what to do and returns the exit code.
func (l *launcher) run(ctx context.Context, in invocation) int {
	pid, exists := l.pids.read()
	if exists && pid == 0 {
		l.say("Removing orphan pid file.")
		if err := l.pids.remove(); err != nil {
			return l.fail(err)
		}
	}
	switch {
	case in.version:
		l.say("TorchServe Version is %s", version)
		return exitOK
	case in.stop:
		return l.stop(pid, in.foreground)
	case pid != 0:
		l.say("TorchServe is already running, please use torchserve --stop to stop TorchServe.")
		return exitFailed
	}
	var devices device.Set
	var complaints []string
	if in.foreground { // the command of a server in the background leaves it to that
		devices, complaints = device.Detect(ctx, os.Environ())
	}
	cfg, err := l.configure(in.flags, len(devices.All))
	if faults, ok := errors.AsType[*config.Error](err); ok {
		l.warnOfJVM(faults.Source)
	}
	if err != nil {
		l.say("%v", err)
		_, _ = fmt.Fprintln(l.stderr, "torchserve: error: not started, because of the configuration")
		return exitFailed
	}
	l.warnOfJVM(cfg.Source)
	if in.foreground {
		for _, c := range complaints {
			cfg.Warnings = append(cfg.Warnings, config.Warning{Level: config.Warn, Text: c})
		}
		return l.serve(ctx, cfg, devices.First(cfg.Server.GPUs))
	}
	return l.background()
}

// warnOfJVM says what 0.12 says about options for the Java machine, once: a
// server in the background leaves it to the command that started it.
func (l *launcher) warnOfJVM(source config.Source) {
	if _, child := os.LookupEnv(reportVariable); source.JVMArgs != "" && !child {
		l.say("Warning: TorchServe is using non-default JVM parameters: %s", source.JVMArgs)
	}
}

// configure loads the configuration from everything that this process was
// given; gpus is the number of accelerators that were found.
func (l *launcher) configure(flags config.Flags, gpus int) (config.Config, error) {
	dir, err := os.Getwd()
	if err != nil {
		return config.Config{}, fmt.Errorf("working directory: %w", err)
	}
	executable, err := os.Executable()
	if err != nil {
		executable = "" // the interpreter is then looked for on PATH only
	}
	src := sources(flags, os.Environ(), dir)
	src.Executable, src.GPUs, src.Resolve = executable, gpus, resolve
	return config.Load(src) //nolint:wrapcheck // worded for the operator
}

// sources returns what decides about a server with these flags, environment and
// working directory.
func sources(flags config.Flags, environ []string, dir string) config.Sources {
	return config.Sources{Flags: flags, Environ: environ, Dir: dir, CPUs: runtime.GOMAXPROCS(0)}
}

// fail reports an error that no script of 0.12 knows.
func (l *launcher) fail(err error) int {
	_, _ = fmt.Fprintf(l.stderr, "torchserve: error: %v\n", err)
	return exitFailed
}

// stopLimit bounds the waiting of --stop --foreground.
const stopLimit = 60 * time.Second

// stop ends the server that the pid file names (CLI §4).
func (l *launcher) stop(pid int, wait bool) int {
	if pid == 0 {
		l.say("TorchServe is not currently running.")
		return exitOK
	}
	switch err := syscall.Kill(pid, syscall.SIGTERM); {
	case errors.Is(err, syscall.EPERM):
		l.say("TorchServe is running as another user and cannot be stopped.")
		return exitFailed
	case err != nil:
		l.say("TorchServe already stopped.")
		return l.forget()
	}
	// compat(0.12): the key file of this directory goes at once (CLI §4); the server removes its own.
	if err := os.Remove("key_file.json"); err != nil && !errors.Is(err, os.ErrNotExist) {
		_, _ = fmt.Fprintf(l.stderr, "torchserve: warning: %v\n", err)
	}
	if !wait {
		l.say("TorchServe has stopped.")
		return l.forget()
	}
	if !ended(pid, stopLimit) {
		l.say("Stopping TorchServe took too long.")
		_ = l.forget()
		return exitFailed
	}
	return l.forget()
}

func (l *launcher) forget() int {
	if err := l.pids.remove(); err != nil {
		return l.fail(err)
	}
	return exitOK
}

// ended waits for the end of a process that is no child of ours: there is no
// event for it, so it is looked at now and then.
func ended(pid int, limit time.Duration) bool {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	late := time.NewTimer(limit)
	defer late.Stop()
	for {
		if _, alive := processArgs(pid); !alive {
			return true
		}
		select {
		case <-look.C:
		case <-late.C:
			return false
		}
	}
}
