package pydeps_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// TestMain makes this program a Python, too: pip and the script for environments, as
// far as a server sees of them. They do what the requirements file says, line by
// line, and write down how they were run.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "-m" || strings.HasSuffix(os.Args[1], ".py")) {
		os.Exit(python(os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}

// run is how a program was run.
type run struct {
	Args    []string
	Dir     string
	Environ []string
}

const runs = "runs.json" // in the working directory: one run a line

func python(args []string) int {
	dir, err := os.Getwd()
	if err != nil {
		return 3
	}
	line, err := json.Marshal(run{os.Args, dir, os.Environ()})
	if err != nil {
		return 3
	}
	f, err := os.OpenFile(runs, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 3
	}
	_, _ = f.Write(append(line, '\n'))
	_ = f.Close()
	file := filepath.Join(dir, "venv.txt")
	if args[0] == "-m" {
		file = args[len(args)-1]
	}
	text, err := os.ReadFile(file)
	if err != nil && args[0] == "-m" {
		fmt.Fprintln(os.Stderr, "ERROR: Could not open requirements file: "+file)
		return 1
	}
	for do := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n") {
		if status := act(strings.Fields(do)); status != 0 {
			return status
		}
	}
	return 0
}

// act does what a line says.
func act(words []string) (status int) {
	if len(words) == 0 {
		return 0
	}
	switch words[0] {
	case "print": // so many lines
		n, _ := strconv.Atoi(words[1])
		for i := range n {
			_, _ = fmt.Fprintf(os.Stdout, "line %d\n", i)
		}
	case "say":
		fmt.Fprint(os.Stderr, strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\x`, strings.Repeat("x", 2500)).Replace(strings.Join(words[1:], " ")))
	case "exit":
		status, _ = strconv.Atoi(words[1])
	case "wait": // for an interrupt
		interrupted := make(chan os.Signal, 1)
		signal.Notify(interrupted, os.Interrupt)
		waits("")
		<-interrupted
		_, _ = fmt.Fprintln(os.Stdout, "cleaned up")
		return 2
	case "leave": // a child in a session of its own behind
		child := exec.Command("sleep", "600")
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := child.Start(); err != nil {
			return 3
		}
		waits(strconv.Itoa(child.Process.Pid))
	case "stay": // with a child that has the pipe, whatever comes
		signal.Ignore(os.Interrupt)
		child := exec.Command("sleep", "600")
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			return 3
		}
		waits(strconv.Itoa(child.Process.Pid))
		never := make(chan os.Signal, 1)
		signal.Notify(never, syscall.SIGUSR1)
		<-never
	}
	return status
}

// waits tells the test that it may go on, and what it wants to know: at once, so
// that nobody reads half of it.
func waits(text string) {
	_ = os.WriteFile("waits.new", []byte(text), 0o600) // without it the test waits in vain
	_ = os.Rename("waits.new", "waits")
}
