package pool

import (
	"context"
	"time"
)

// NextLook has automatic scaling look at the pool, and returns how long it would
// let it alone then; false: until a job comes.
func (p *Pool) NextLook(ctx context.Context) (time.Duration, bool) {
	next := p.scaler.look(ctx)
	return next, next != never
}
