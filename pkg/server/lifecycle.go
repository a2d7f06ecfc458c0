package server

import (
	"context"
	"errors"
	"fmt"
)

// undo is one step to take when the server stops.
type undo struct {
	name string
	run  func(ctx context.Context) error
}

// undoStack collects, while the server is built, how each step is undone. The
// zero value is empty. It belongs to one goroutine.
type undoStack struct{ steps []undo }

// push adds the undoing of the step just taken.
func (u *undoStack) push(name string, run func(ctx context.Context) error) {
	u.steps = append(u.steps, undo{name, run})
}

// unwind undoes all steps, the last one first, and forgets them, so that
// unwinding again does nothing. A step that fails does not keep the others from
// being undone; the error joins the failures under the names of their steps.
func (u *undoStack) unwind(ctx context.Context) error {
	var errs []error
	for len(u.steps) > 0 {
		last := u.steps[len(u.steps)-1]
		u.steps = u.steps[:len(u.steps)-1]
		if err := last.run(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", last.name, err))
		}
	}
	return errors.Join(errs...)
}
