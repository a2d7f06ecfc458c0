package serving_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/serving"
)

// withDevices gives a service accelerators.
func withDevices(n int) func(*serving.Config) {
	return func(c *serving.Config) { c.Devices = n }
}

func TestCapacity(t *testing.T) {
	t.Parallel()
	const parallel = "parallelType: tp\nparallelLevel: "
	t.Run("SCH-069 DEV-022 more devices than there are: nothing is left, and at once", func(t *testing.T) {
		t.Parallel()
		for _, synchronous := range []bool{true, false} {
			f := newFixture(t, withDevices(2))
			f.put("noop.mar", source{yaml: parallel + "4\n"})
			_, err := f.Register(t.Context(), model.Registration{URL: "noop.mar", Workers: new(1), Synchronous: synchronous})
			f.fails(err, fault.WorkerStart, "No enough gpu devices for model:noop parallelLevel:4")
			assert.Equal(t, 500, fault.Status(err))
			f.gone("noop")
			assert.Contains(t, f.log.of(t, "error"), serving.LogManager+" there are no enough gpu devices to support this parallelLever: 4")
		}
	})
	t.Run("SCH-069 at start", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, withDevices(2))
		f.put("noop.mar", source{yaml: parallel + "4\n"})
		f.Load(t.Context(), "", "noop.mar")
		f.gone("noop")
		assert.Contains(t, f.log.of(t, "warn"), serving.LogServer+" Failed to load model: noop.mar")
	})
	t.Run("SCH-069 without workers it can be registered, not scaled", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, withDevices(2))
		f.put("noop.mar", source{yaml: parallel + "4\n"})
		f.registered(model.Registration{URL: "noop.mar"})
		for _, synchronous := range []bool{true, false} {
			_, err := f.Scale(t.Context(), noop(""), scaling(1, synchronous))
			f.fails(err, fault.WorkerStart, "No enough gpu devices for model:noop parallelLevel:4")
		}
		assert.Empty(t, f.described(noop("")).Workers)
		_, err := f.Scale(t.Context(), noop(""), scaling(0, true))
		require.NoError(t, err)
	})
	t.Run("SCH-069 the number of workers is cut to the devices", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, withDevices(5))
		f.put("noop.mar", source{yaml: parallel + "2\n"})
		done := f.registered(model.Registration{URL: "noop.mar", Workers: new(3), Synchronous: true})
		assert.Equal(t, 3, done.Workers, "the answer shows what was asked for")
		assert.Equal(t, model.Done, done.Progress)
		status := f.described(noop(""))
		assert.Len(t, status.Workers, 2)
		assert.Equal(t, model.Workers{Min: 2, Max: 2}, status.Settings.Workers)
		assert.Contains(t, f.log.of(t, "info"), serving.LogManager+" model noop set minWorkers: 2, maxWorkers: 2 for parallelLevel: 2 ")
		_, err := f.Scale(t.Context(), noop(""), model.Scaling{Workers: model.Workers{Min: 1, Max: 9}, Synchronous: true})
		require.NoError(t, err)
		assert.Equal(t, model.Workers{Min: 1, Max: 2}, f.described(noop("")).Settings.Workers)
		assert.Equal(t, "hello", f.predict(noop(""), "hello"))
	})
	t.Run("on the CPU nothing is cut", func(t *testing.T) {
		t.Parallel()
		for devices, yaml := range map[int]string{0: "", 2: "deviceType: cpu\n"} {
			f := newFixture(t, withDevices(devices))
			f.put("noop.mar", source{yaml: yaml + parallel + "4\n"})
			f.registered(model.Registration{URL: "noop.mar", Workers: new(1), Synchronous: true})
			assert.Equal(t, "hello", f.predict(noop(""), "hello"))
			status := f.described(noop(""))
			assert.Equal(t, -1, status.Workers[0].GPU, "SCH-071")
			assert.Equal(t, "cpu", status.Settings.Devices.Type)
			assert.Empty(t, status.Workers[0].Usage)
		}
	})
}

func TestUsage(t *testing.T) {
	t.Parallel()
	t.Run("of the worker's device, which deviceIds name", func(t *testing.T) {
		t.Parallel()
		for yaml, want := range map[string][]string{
			"": {"usage of 0", "usage of 1"},
			"parallelType: custom\nparallelLevel: 2\n":                          {"usage of 0", "usage of 2"},
			"parallelType: custom\nparallelLevel: 2\ndeviceIds: [4, 5, 1, 2]\n": {"usage of 4", "usage of 1"},
		} {
			f := newFixture(t, withDevices(6))
			f.put("noop.mar", source{yaml: yaml})
			f.registered(model.Registration{URL: "noop.mar", Workers: new(2), Synchronous: true})
			all, err := f.DescribeAll("noop")
			require.NoError(t, err)
			for _, status := range []model.Status{f.described(noop("")), all[0]} {
				require.Len(t, status.Workers, 2)
				for i := range want {
					assert.Equal(t, want[i], status.Workers[i].Usage)
				}
				assert.Equal(t, "gpu", status.Settings.Devices.Type)
			}
		}
	})
}
