package batch

import "time"

// Waits is how long jobs wait for a worker, from when one may take them.
type Waits struct {
	Over  Waited    // so far
	Since time.Time // when the job began to wait that waits longest now; zero: none does
}

// Waited is a number of waits that are over. A job that was given back waits
// anew, from its arrival.
type Waited struct {
	Jobs int
	Sum  time.Duration
}

func (w *Waited) add(d time.Duration) {
	w.Jobs++
	w.Sum += d
}
