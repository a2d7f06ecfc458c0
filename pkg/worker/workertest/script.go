package workertest

import "time"

// ScriptFile is the name of the file in a model's directory that holds the
// Script of its workers, as JSON.
const ScriptFile = "fake-worker.json"

// Script says what a fake worker does. The zero value starts, loads and echoes.
type Script struct {
	Boot  Action   // before it says that it listens
	Load  Action   // in place of the answer to the load command
	Infer []Action // in place of the answers to batches; the last one holds for all further ones
	Last  Action   // after the server has closed the connection

	// Starts is the number of starts in this directory that follow the script;
	// later ones are those of the zero Script. 0: all follow it.
	Starts int

	// Ranks are the scripts of single ranks, in the place of this one.
	Ranks map[int]Script
}

// Do names what happens.
type Do string

// What a fake worker can do. Each is for the moments that its comment names:
// B(oot), L(oad), I(nfer), E(nd).
const (
	Well     Do = ""         // what a good worker does; I: the same as Echo
	Echo     Do = "echo"     // I: each request gets its first parameter back, with its content type
	Fail     Do = "fail"     // L, I: answer with Code and Text
	Item     Do = "item"     // I: each request gets status Code, body Text and the headers of Action
	Reverse  Do = "reverse"  // I: as Echo, items in reverse order
	Stream   Do = "stream"   // I: N pieces "0", "1" …, with Code, the last with ts_stream_next: false
	Trail    Do = "trail"    // I: as Stream, but the last without the header (WRK-D10)
	Short    Do = "short"    // I: as Echo, the last item missing
	Stranger Do = "stranger" // I: an item that nobody asked for
	Oversize Do = "oversize" // I: the first request gets N bytes, the others are echoed
	Garbage  Do = "garbage"  // L, I: bytes that are no message
	Half     Do = "half"     // L, I: the beginning of an answer, then the connection closes
	Exit     Do = "exit"     // B, L, I, E: end with status Code
	Kill     Do = "kill"     // B, L, I, E: end by SIGKILL
	Hang     Do = "hang"     // B, L, I, E: do nothing for an hour
	Stubborn Do = "stubborn" // B, L, I, E: as Hang, deaf to SIGTERM
	Unasked  Do = "unasked"  // I: as Echo, then the same message again
	Reflect  Do = "reflect"  // I: each request gets what came of it, as JSON, with ts_stream_next: Text, if that is set
	Say      Do = "say"      // I: Says, whatever was asked; without any, silence
)

// Action is what happens at one moment of a script.
type Action struct {
	Do      Do
	N       int
	Code    int
	Text    string
	Headers [][2]string
	Pause   time.Duration // between the pieces of a stream, before the messages of Says
	Says    []Message

	// Gate lets the worker wait at its Gate before it acts.
	Gate bool
	// Meet lets the ranks of a worker wait for each other before they act, as those
	// do that compute together: see NewMeeting.
	Meet bool
	// Print is written to standard output before it acts, Times times (0: once).
	Print string
	Times int
	// Hold is written to where the server reads it when the process has ended.
	Hold string
	// Complain is written to standard error before it acts.
	Complain string
	// Fork starts a process that sleeps in the worker's group and holds its
	// output open; the line "forked <pid>" says which.
	Fork bool
}

// Message is one answer, spelt out.
type Message struct {
	Code  int // 0: 200
	Text  string
	Items []Answer
}

// Answer is what a Message holds for one request.
type Answer struct {
	ID, Body string
	Next     string // value of ts_stream_next; empty: the header is missing
	Headers  [][2]string
}

// Behaviours of a model that the contract asks for. A Factory makes a worker
// whose handler does the same.
const (
	// Echoes gives each request its parameter body back, as bytes.
	Echoes = "echo"
	// Raises raises an exception while handling.
	Raises = "raise"
	// Refuses raises PredictionException("not today", 404) while handling.
	Refuses = "refuse"
	// Streams sends 0 and 1 as intermediate responses and returns 2.
	Streams = "stream"
	// Miscounts returns one element too few.
	Miscounts = "miscount"
	// Chats prints ten thousand lines, bytes that are no text and a line of 2 MiB,
	// then echoes.
	Chats = "chat"
	// Exits ends its process with status 1 while handling.
	Exits = "exit"
	// Sleeps sleeps while handling, longer than any test.
	Sleeps = "sleep"
	// Unloadable raises a RuntimeError while loading.
	Unloadable = "unloadable"
	// Exhausts raises a MemoryError while loading.
	Exhausts = "exhaust"
	// Absent ends its process with status 1 before it listens.
	Absent = "absent"
)

// Named returns the script of a behaviour, or false.
func Named(behaviour string) (Script, bool) {
	infer := func(a Action) (Script, bool) { return Script{Infer: []Action{a}}, true }
	switch behaviour {
	case Echoes:
		return Script{}, true
	case Raises:
		return infer(Action{Do: Fail, Code: 503, Text: "Prediction failed"})
	case Refuses:
		return infer(Action{Do: Fail, Code: 404, Text: "not today"})
	case Streams:
		return infer(Action{Do: Stream, N: 3})
	case Miscounts:
		return infer(Action{Do: Fail, Code: 503, Text: "number of batch response mismatched"})
	case Chats:
		return infer(Action{Do: Echo, Print: chatter()})
	case Exits:
		return infer(Action{Do: Exit, Code: 1})
	case Sleeps:
		return infer(Action{Do: Hang})
	case Unloadable:
		return Script{Load: Action{Do: Fail, Code: 500, Text: "Unknown exception", Print: traceback("RuntimeError: no weights")}}, true
	case Exhausts:
		return Script{Load: Action{Do: Fail, Code: 507, Text: "System out of memory", Print: traceback("MemoryError")}}, true
	case Absent:
		return Script{Boot: Action{Do: Exit, Code: 1, Print: traceback("ImportError: no module")}}, true
	default:
		return Script{}, false
	}
}

func traceback(last string) string {
	return "Backend worker process died.\nTraceback (most recent call last):\n  File \"fake\", line 1\n" + last + "\n"
}
