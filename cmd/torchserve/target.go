package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/torchserve-go/torchserve/pkg/client"
	"github.com/torchserve-go/torchserve/pkg/config"
)

// Environment variables of the commands that talk to a server; options beat them.
const (
	addressVariable    = "TORCHSERVE_ADDRESS"
	managementVariable = "TORCHSERVE_MANAGEMENT_ADDRESS"
	keyFileVariable    = "TORCHSERVE_KEY_FILE"
)

// target is the server that a command talks to: one that runs here, found by its
// pid file, or one that was named by its address.
type target struct {
	pid   int           // 0: named by address
	since time.Time     // when it began; zero: not known
	cfg   config.Config // of a server here

	inference  config.Address
	management config.Address
	metrics    config.Address
	keyFile    string // empty: no keys
	foreign    bool   // the server is another user's, and names the key file
}

func (t *target) here() bool { return t.pid != 0 }

// errNotRunning says that nothing runs here and nothing was named.
var errNotRunning = errors.New("no server is running here")

// find returns the server that the options, the environment or the pid file name.
func (c *caller) find() (target, error) {
	address := cmp.Or(c.to.address, c.getenv(addressVariable))
	management := cmp.Or(c.to.management, c.getenv(managementVariable))
	keyFile := cmp.Or(c.to.keyFile, c.getenv(keyFileVariable))
	if address != "" || management != "" {
		return named(address, management, keyFile)
	}
	pids := c.pids()
	pid, _ := pids.read()
	if pid == 0 {
		return target{}, hint(errNotRunning, "Looked for %s.\n"+
			"Start one: torchserve --start --ncs --model-store model_store --models all\n"+
			"Or name one: --address http://HOST:8080 --key-file FILE", pids.path)
	}
	t, err := local(pid)
	if err != nil {
		return target{}, hint(err, "Name its addresses and keys: --address, --management-address, --key-file")
	}
	if info, err := os.Stat(pids.path); err == nil {
		t.since = info.ModTime()
	}
	if keyFile != "" {
		t.keyFile, t.foreign = keyFile, false
	}
	return t, nil
}

// usual are the ports of listeners whose address is not told.
//
//nolint:gochecknoglobals // read-only table
var usual = map[config.Role]map[config.Scheme]int{
	config.Inference:   {config.PlainHTTP: 8080, config.HTTPS: 8443},
	config.Management:  {config.PlainHTTP: 8081, config.HTTPS: 8444},
	config.MetricsRole: {config.PlainHTTP: 8082, config.HTTPS: 8445},
}

// named returns a server by its addresses, of which one may be empty: it is then
// at the usual port of the same host, or the same socket.
func named(inference, management, keyFile string) (target, error) {
	t := target{keyFile: keyFile}
	var err error
	if inference != "" {
		if t.inference, err = parseAddress("--address", inference, config.Inference); err != nil {
			return t, err
		}
	}
	if management != "" {
		if t.management, err = parseAddress("--management-address", management, config.Management); err != nil {
			return t, err
		}
	}
	switch {
	case inference == "":
		t.inference = beside(t.management, config.Inference)
	case management == "":
		t.management = beside(t.inference, config.Management)
	}
	t.metrics = beside(t.inference, config.MetricsRole)
	return t, nil
}

func parseAddress(option, text string, role config.Role) (config.Address, error) {
	a, err := config.ParseAddress(strings.TrimSuffix(text, "/"), role)
	if err != nil || a.Scheme != config.Unix && a.Port == 0 {
		return a, usagef("%s %s: not of the form http://HOST[:PORT], https://HOST[:PORT] or unix:/PATH", option, text)
	}
	return a, nil
}

func beside(a config.Address, role config.Role) config.Address {
	a.Port = usual[role][a.Scheme]
	return a
}

// local returns the server of a process: what it was started with, and where,
// says how it is configured.
func local(pid int) (target, error) {
	args, alive := processArgs(pid)
	if !alive {
		return target{}, fmt.Errorf("process %d of the pid file cannot be looked at, or has just ended", pid)
	}
	if slices.Contains(args, "org.pytorch.serve.ModelServer") {
		return target{}, fmt.Errorf("process %d is TorchServe 0.12, whose configuration is not read", pid)
	}
	in, err := parseLine(args[1:])
	if err != nil {
		return target{}, fmt.Errorf("command line of the server, process %d: %s", pid, err.Error()) // not a usage error of ours
	}
	dir, err := processDir(pid)
	if err != nil {
		return target{}, fmt.Errorf("working directory of the server: %w", err)
	}
	cfg, err := config.Load(sources(in.flags, processEnviron(pid), dir))
	if err != nil {
		return target{}, fmt.Errorf("configuration of the server, process %d in %s:\n%w", pid, dir, err)
	}
	t := target{
		pid: pid, cfg: cfg, foreign: processOwner(pid) != os.Geteuid(),
		inference: cfg.Listen.Inference, management: cfg.Listen.Management, metrics: cfg.Listen.Metrics,
	}
	for key, a := range map[string]config.Address{"inference_address": t.inference, "management_address": t.management} {
		if a.Scheme != config.Unix && a.Port == 0 {
			return target{}, fmt.Errorf("the server, process %d, has a port that the system chose (%s=%v)", pid, key, a)
		}
	}
	if cfg.Security.TokensEnabled() {
		t.keyFile = cmp.Or(cfg.Security.TokenKeysFile, cfg.Security.TokenKeyFile)
	}
	return t, nil
}

// parseLine reads the command line of a server.
func parseLine(args []string) (invocation, error) {
	var in invocation
	words, err := grammar.Normalize(args)
	if err != nil {
		return in, err
	}
	var cmd cobra.Command
	in.define(&cmd)
	if err := cmd.ParseFlags(words); err != nil {
		return in, fmt.Errorf("options: %w", err)
	}
	return in, nil
}

// key returns the key of a kind; empty: there is none to send.
func (t *target) key(kind client.Kind) (string, error) {
	keys, err := t.keys()
	return keys[kind].Text, err
}

func (t *target) keys() (map[client.Kind]client.Key, error) {
	if t.keyFile == "" {
		return nil, nil
	}
	keys, err := t.readKeys()
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	switch {
	case errors.Is(err, os.ErrPermission):
		return nil, hint(fmt.Errorf("read %s: %w", t.keyFile, err), "The keys belong to the user that runs the server: run this command as that user, or name another file with --key-file.")
	case err != nil:
		return nil, hint(fmt.Errorf("read %s: %w", t.keyFile, err), "Name the file with the keys with --key-file.")
	}
	return keys, nil
}

// readKeys reads the key file. Whoever may look into other users' files must not
// be led to: anybody can leave a pid file in /tmp, and be the server that gets the
// keys.
func (t *target) readKeys() (map[client.Kind]client.Key, error) {
	f, err := os.Open(t.keyFile)
	if err != nil {
		return nil, err //nolint:wrapcheck // keys words it
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return nil, err //nolint:wrapcheck // keys words it
	}
	if t.foreign && fileOwner(info) != processOwner(t.pid) {
		return nil, fmt.Errorf("it does not belong to the user of the server, process %d", t.pid)
	}
	return client.ReadKeys(f) //nolint:wrapcheck // keys words it
}
