package workertest

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/wire"
)

// variable makes a test binary a fake worker.
const variable = "TORCHSERVE_FAKE_WORKER"

const (
	asWorker = "worker"
	asChild  = "child" // of a worker: it sleeps
)

// Main becomes a fake worker, and does not return, in a process that Launch has
// told to be one. Elsewhere it does nothing. Call it first in TestMain.
func Main() {
	switch os.Getenv(variable) {
	case asWorker:
		if filepath.Base(os.Args[0]) == torchrun {
			os.Exit(runRanks(os.Args[1:]))
		}
		os.Exit(serve(os.Args[1:], os.Stdout))
	case asChild:
		sleep()
	}
}

// fake is a worker process at work.
type fake struct {
	script   Script
	out      io.Writer
	conn     net.Conn
	commands *wire.CommandReader
	batches  int
	rank     int
}

// serve runs a worker and returns its exit status. args are those after the
// interpreter: the path of the Python file and its flags.
func serve(args []string, out io.Writer) int {
	f := &fake{out: out, rank: localRank()}
	listener, err := f.listen(args)
	if err != nil {
		f.print(err.Error() + "\n")
		return 2
	}
	defer func() { _ = listener.Close() }() // removes the socket, too
	f.print(fmt.Sprintf("Listening on port: %s\n[PID]%d\nTorch worker started.\nPython runtime: 0.0.0\n", listener.Addr(), os.Getpid()))
	if f.conn, err = listener.Accept(); err != nil {
		return 1
	}
	f.print("Connection accepted: " + listener.Addr().String() + ".\n")
	f.commands = wire.NewCommandReader(f.conn)
	for {
		err := f.next()
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
			f.print("Frontend disconnected.\n")
			f.prelude(f.script.Last)
			return 0
		default:
			f.print("Backend worker process died.\n" + err.Error() + "\n")
			return 1
		}
	}
}

// listen parses the flags of the Python worker, boots and listens.
func (f *fake) listen(args []string) (net.Listener, error) {
	flags := flag.NewFlagSet("model-server-worker", flag.ContinueOnError)
	kind := flags.String("sock-type", "", "")
	name := flags.String("sock-name", "", "")
	host := flags.String("host", "127.0.0.1", "")
	port := flags.String("port", "9000", "")
	flags.String("metrics-config", "", "")
	flags.Bool("async", false, "")
	if err := flags.Parse(args[1:]); err != nil {
		return nil, fmt.Errorf("arguments: %w", err)
	}
	var err error
	if f.script, err = readScript(); err != nil {
		return nil, err
	}
	if own, ok := f.script.Ranks[f.rank]; ok {
		f.script = own
	}
	f.prelude(f.script.Boot)
	if *kind == "tcp" {
		return net.Listen("tcp", net.JoinHostPort(*host, plus(*port, f.rank))) //nolint:wrapcheck,noctx // a test's
	}
	prefix, number, _ := strings.Cut(*name, sockets)
	*name = prefix + sockets + plus(number, f.rank)
	if err := os.Remove(*name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("socket already in use: %s", *name)
	}
	return net.Listen("unix", *name) //nolint:wrapcheck,noctx // a test's
}

// readScript reads the script of the current directory, if it is the turn of
// this start to follow it.
func readScript() (s Script, err error) {
	text, err := os.ReadFile(ScriptFile)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("script: %w", err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("script: %w", err)
	}
	if s.Starts > 0 && countStart() > s.Starts {
		return Script{}, nil
	}
	return s, nil
}

// startsFile has one byte for each start.
const startsFile = "fake-worker.starts"

func countStart() int {
	file, err := os.OpenFile(startsFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 0
	}
	defer func() { _ = file.Close() }() // the size is what counts
	_, _ = file.WriteString(".")
	info, err := file.Stat()
	if err != nil {
		return 0
	}
	return int(info.Size())
}

// next answers one command.
func (f *fake) next() error {
	c, err := f.commands.Next()
	if err != nil {
		return err //nolint:wrapcheck // io.EOF means the end
	}
	if c.Load != nil {
		return f.load(c.Load)
	}
	a := Action{}
	if n := len(f.script.Infer); n > 0 {
		a = f.script.Infer[min(f.batches, n-1)]
	}
	f.batches++
	f.prelude(a)
	return f.infer(a, c.Batch)
}

func (f *fake) load(l *wire.Load) error {
	f.print(fmt.Sprintf("model_name: %s, batchSize: %d\n", l.ModelName, l.BatchSize))
	if s, ok := Named(l.Handler); ok && f.untold() {
		f.script = s
	}
	a := f.script.Load
	f.prelude(a)
	switch a.Do {
	case Garbage, Half:
		return f.spoil(a.Do)
	case Fail:
		if err := f.answer(wire.Response{Code: a.Code, Message: a.Text}); err != nil {
			return err
		}
		return fmt.Errorf("RuntimeError: %d - %s", a.Code, a.Text)
	default:
		return f.answer(wire.Response{Code: 200, Message: "loaded model " + l.ModelName})
	}
}

// untold reports whether the directory had no script.
func (f *fake) untold() bool {
	_, err := os.Stat(ScriptFile)
	return err != nil
}

func (f *fake) infer(a Action, batch []wire.Request) error {
	r := wire.Response{Code: 200, Message: "Prediction success", Items: echo(batch)}
	switch a.Do { //nolint:exhaustive // the others echo, or were done by prelude
	case Garbage, Half:
		return f.spoil(a.Do)
	case Stream, Trail:
		return f.stream(a, batch)
	case Fail:
		r.Code, r.Message = a.Code, a.Text
	case Item:
		for i := range r.Items {
			r.Items[i].Status, r.Items[i].Body, r.Items[i].Headers = a.Code, []byte(a.Text), headers(a)
		}
	case Reverse:
		slices.Reverse(r.Items)
	case Short:
		r.Items = r.Items[:len(r.Items)-1]
	case Stranger:
		r.Items[0].RequestID = "stranger"
	case Oversize:
		r.Items[0].Body = make([]byte, a.N)
	case Unasked:
		return f.write(append(r.Append(nil), r.Append(nil)...))
	case Reflect:
		return f.reflect(a, batch)
	case Say:
		return f.say(a)
	}
	return f.answer(r)
}

func (f *fake) stream(a Action, batch []wire.Request) error {
	for n := range a.N {
		next, code := "true", cmp.Or(a.Code, 200)
		if n == a.N-1 {
			next, code = "false", 200
		}
		r := wire.Response{Code: code, Message: "Prediction success"}
		for _, q := range batch {
			item := wire.Item{RequestID: q.ID, Status: 200, Body: []byte(strconv.Itoa(n))}
			if a.Do == Stream || n < a.N-1 {
				item.Headers = append(headers(a), job.Header{Name: wire.StreamNext, Value: next})
			}
			r.Items = append(r.Items, item)
		}
		if err := f.answer(r); err != nil {
			return err
		}
		if a.Pause > 0 && n < a.N-1 {
			<-time.NewTimer(a.Pause).C
		}
	}
	return nil
}

// reflect hands each request back as it came.
func (f *fake) reflect(a Action, batch []wire.Request) error {
	r := wire.Response{Code: 200, Message: "Prediction success"}
	for _, q := range batch {
		text, err := json.Marshal(q)
		if err != nil {
			return fmt.Errorf("reflect: %w", err)
		}
		r.Items = append(r.Items, wire.Item{RequestID: q.ID, Status: 200, Headers: pairs(a.Headers, a.Text), Body: text})
	}
	return f.answer(r)
}

func (f *fake) say(a Action) error {
	for _, m := range a.Says {
		if a.Pause > 0 {
			<-time.NewTimer(a.Pause).C
		}
		r := wire.Response{Code: cmp.Or(m.Code, 200), Message: cmp.Or(m.Text, "Prediction success")}
		for _, i := range m.Items {
			r.Items = append(r.Items, wire.Item{RequestID: i.ID, Status: 200, Headers: pairs(i.Headers, i.Next), Body: []byte(i.Body)})
		}
		if err := f.answer(r); err != nil {
			return err
		}
	}
	return nil
}

func headers(a Action) []job.Header { return pairs(a.Headers, "") }

// pairs makes headers, the last of them ts_stream_next, if that has a value.
func pairs(names [][2]string, next string) []job.Header {
	hs := make([]job.Header, 0, len(names)+1)
	for _, h := range names {
		hs = append(hs, job.Header{Name: h[0], Value: h[1]})
	}
	if next != "" {
		hs = append(hs, job.Header{Name: wire.StreamNext, Value: next})
	}
	return hs
}

// echo makes the items that hand each request its first parameter back.
func echo(batch []wire.Request) []wire.Item {
	items := make([]wire.Item, 0, len(batch))
	for _, q := range batch {
		item := wire.Item{RequestID: q.ID, Status: 200}
		if len(q.Parameters) > 0 {
			p := q.Parameters[0]
			item.ContentType, item.Body = p.ContentType, p.Value
		}
		if slices.Contains(q.Headers, job.Header{Name: "describe", Value: "True"}) {
			item.Body = []byte(`{"described": true}`)
		}
		items = append(items, item)
	}
	return items
}

// answer writes a message; of the ranks only the first one does, but for loads.
func (f *fake) answer(r wire.Response) error {
	if f.rank > 0 && f.batches > 0 {
		f.print(fmt.Sprintf("skip sending response at rank %d\n", f.rank))
		return nil
	}
	return f.write(r.Append(nil))
}

func (f *fake) write(b []byte) error {
	if _, err := f.conn.Write(b); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

// spoil breaks the protocol.
func (f *fake) spoil(how Do) error {
	whole := wire.Response{Code: 200, Message: "loaded"}.Append(nil)
	if how == Garbage {
		whole = []byte("\xff\xff\xff\xfe\xff\xff\xff\xfe is no answer")
	}
	_, _ = f.conn.Write(whole[:len(whole)-2])
	if how == Half {
		_ = f.conn.Close()
	}
	return nil
}

// prelude does what an action wants before an answer; it may be the end.
func (f *fake) prelude(a Action) {
	f.print(strings.Repeat(a.Print, max(a.Times, 1)))
	_, _ = os.Stderr.WriteString(a.Complain)
	if a.Hold != "" {
		f.hold(a.Hold)
	}
	if a.Fork {
		f.fork()
	}
	if a.Gate {
		pass()
	}
	if a.Meet {
		meet(f.rank)
	}
	switch a.Do { //nolint:exhaustive // the others are answers
	case Exit:
		os.Exit(a.Code)
	case Kill:
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		sleep()
	case Stubborn:
		signal.Ignore(syscall.SIGTERM)
		f.print("deaf\n")
		sleep()
	case Hang:
		f.print("hanging\n")
		sleep()
	}
}

func (f *fake) print(text string) { _, _ = io.WriteString(f.out, text) }

func (f *fake) hold(text string) {
	const head = 4
	file := binary.LittleEndian.AppendUint32(nil, uint32(head+len(text))) //nolint:gosec // a few lines
	path := os.Getenv("TS_HELD_LINES") + "." + strconv.Itoa(f.rank)
	if err := os.WriteFile(path, append(file, text...), 0o600); err != nil { //nolint:gosec // the worker says where
		f.print(err.Error() + "\n")
	}
}

func (f *fake) fork() {
	child := exec.Command(os.Args[0]) //nolint:gosec,noctx // itself; its end is the subject of the test
	child.Env = append(os.Environ(), variable+"="+asChild)
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	if err := child.Start(); err != nil {
		f.print(err.Error() + "\n")
		return
	}
	f.print(fmt.Sprintf("forked %d\n", child.Process.Pid))
}

// sleep is what a handler does that never comes back.
func sleep() { <-time.NewTimer(time.Hour).C }

// chatter is what Chats prints.
func chatter() string {
	return strings.Repeat("chatter \xff\xfe\x00 \x80 and more of it, as handlers do\n", 10_000) + strings.Repeat("x", 2<<20) + "\n"
}
