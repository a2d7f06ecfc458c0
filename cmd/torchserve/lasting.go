package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/torchserve-go/torchserve/pkg/client"
	"github.com/torchserve-go/torchserve/pkg/config"
)

// silence is how long a call that may last goes on without a word.
const silence = 10 * time.Second

// lasting is how a command makes a call that may rightly take its time, and whose
// answer may as well never come: from a server that is halted, or hangs.
type lasting struct {
	changes bool          // what the server has and does; nobody knows whether it did when no answer came
	limit   time.Duration // 0: none
}

func (l *lasting) define(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&l.limit, "timeout", 0, "how long to wait for the server's answer, as a `duration` such as 90s (default: as long as it takes)")
}

// run makes a call to the listener at an address. The call says when its answer
// begins. It ends with ctx, or when the limit is over.
func (l *lasting) run(ctx context.Context, s *session, at config.Address, call func(ctx context.Context, answered func()) error) error {
	limited, cancel := ctx, context.CancelFunc(func() {})
	switch {
	case l.limit < 0:
		return usagef("--timeout is a duration of 0 and more")
	case l.limit > 0:
		limited, cancel = context.WithTimeout(ctx, l.limit)
	}
	defer cancel()
	answered := l.watch(s, at)
	defer answered()
	err := call(limited, answered)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return fmt.Errorf("not done after %v (--timeout): %w", l.limit, err)
	}
	return err
}

// change makes a call that changes something, and says so when nobody can know
// whether it did.
func (l *lasting) change(ctx context.Context, s *session, call func(ctx context.Context) error) error {
	if _, err := s.key(client.Management); err != nil { // nothing was sent
		return err
	}
	err := l.run(ctx, s, s.management, func(ctx context.Context, _ func()) error { return call(ctx) })
	if err != nil && !refused(err) {
		s.note("The server may do it all the same: torchserve models")
	}
	return err
}

// watch says once that an answer is still to come, unless answered is called in
// time. After answered nothing is said any more.
func (l *lasting) watch(s *session, at config.Address) (answered func()) {
	if s.silence == 0 {
		return func() {}
	}
	var watching sync.WaitGroup
	done := make(chan struct{})
	watching.Go(func() {
		wait := time.NewTimer(s.silence)
		defer wait.Stop()
		select {
		case <-done:
		case <-wait.C:
			effect := ""
			if l.changes {
				effect = ", the request may still take effect"
			}
			s.note("Still waiting for the server at %s; Ctrl-C gives up%s", at, effect)
		}
	})
	return sync.OnceFunc(func() {
		close(done)
		watching.Wait()
	})
}
