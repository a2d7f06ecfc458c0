package pool_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

func TestMain(m *testing.M) {
	workertest.Main()
	goleak.VerifyTestMain(m)
}
