package pool

import (
	"errors"
	"strings"

	"github.com/google/uuid"

	"github.com/torchserve-go/torchserve/pkg/batch"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// LogSequence is the logger name of 0.12 for the sequences of stateful models.
const LogSequence = "org.pytorch.serve.wlm.SequenceBatching"

func newSequences(s model.Settings) *batch.Sequences {
	return batch.NewSequences(batch.SequenceLimits{
		Number: s.Sequence.MaxNumber, QueueSize: s.Sequence.QueueSize, Loose: s.QueueSize,
		MaxIdle: s.Sequence.MaxIdle, Timeout: s.Sequence.Timeout, Free: s.JobTicket,
	})
}

// putInSequence queues a job of a stateful model. A ticket is needed only to
// open a sequence.
func (p *Pool) putInSequence(j *job.Job) error {
	p.findSequence(j)
	opened, err := p.open.Put(j, func() bool { return p.admit(j) })
	switch {
	case opened:
		p.sequenceLog.Info().Msg("added jobGroup for sequenceId:" + j.Sequence)
	case errors.Is(err, batch.ErrSequences):
		p.sequenceLog.Warn().Msgf("Skip the requestId: %s for sequence: %s due to jobGroups size: %d exceeding maxNumSequence: %d",
			j.ID, j.Sequence, p.open.Open(), p.cfg.Settings.Sequence.MaxNumber)
		return busy()
	}
	return err
}

// endSequences ends what a model says is over.
func (p *Pool) endSequences(ids []string) {
	if p.open != nil {
		p.open.End(ids)
	}
}

// findSequence reads from the headers of a request which sequence it belongs to,
// and begins a new one if it names none (SCH §13.1). The handler finds the name
// of the header as it is configured, whatever the client wrote (SCH-D39).
func (p *Pool) findSequence(j *job.Job) {
	if j.Kind == job.Describe {
		return
	}
	names := p.cfg.Sequences
	kept := make([]job.Header, 0, len(j.Request.Headers)+2)
	for _, h := range j.Request.Headers {
		if !strings.EqualFold(h.Name, names.ID) {
			kept = append(kept, h)
		} else if h.Value != "" {
			j.Sequence = h.Value
		}
	}
	if j.Sequence == "" {
		j.Sequence = "ts-seq-" + uuid.NewString()
		kept = append(kept, job.Header{Name: names.Start, Value: "true"})
	}
	kept = append(kept, job.Header{Name: names.ID, Value: j.Sequence})
	j.Request.Headers = kept
}
