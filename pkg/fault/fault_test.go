package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/fault"
)

func TestTable(t *testing.T) {
	names := map[string]fault.Kind{}
	for _, k := range fault.Kinds() {
		row := k.Row()
		assert.NotEmpty(t, row.Name, "kind %d has no row", k)
		assert.NotEmpty(t, row.Type, row.Name)
		assert.True(t, row.Status >= 400 && row.Status <= 599, row.Name)
		assert.True(t, row.GRPC >= 1 && row.GRPC <= 16, row.Name)
		assert.NotContains(t, names, row.Name)
		assert.Equal(t, row.Name, k.String())
		names[row.Name] = k
	}
	assert.Equal(t, fault.Internal.Row(), fault.Kind(200).Row(), "an unknown number")
}

// TestPinned holds the rows that clients of 0.12 rely on and that nothing else
// explains.
func TestPinned(t *testing.T) {
	for k, want := range map[fault.Kind]struct {
		status int
		name   string
	}{
		fault.InvalidKey:       {http.StatusBadRequest, "InvalidKeyException"},
		fault.ModelNotFound:    {http.StatusNotFound, "ModelNotFoundException"},
		fault.VersionNotFound:  {http.StatusNotFound, "ModelVersionNotFoundException"},
		fault.Conflict:         {http.StatusConflict, "ConflictStatusException"},
		fault.DefaultVersion:   {http.StatusForbidden, "InvalidModelVersionException"},
		fault.Busy:             {http.StatusServiceUnavailable, "ServiceUnavailableException"},
		fault.CleanupTimeout:   {http.StatusRequestTimeout, "RequestTimeoutException"},
		fault.Expired:          {http.StatusGatewayTimeout, "InternalServerException"},
		fault.Worker:           {http.StatusInternalServerError, "InternalServerException"},
		fault.MethodNotAllowed: {http.StatusMethodNotAllowed, "MethodNotAllowedException"},
	} {
		assert.Equal(t, want.status, k.Row().Status, k)
		assert.Equal(t, want.name, k.Row().Type, k)
	}
}

func TestKindOf(t *testing.T) {
	inner := fault.New(fault.Conflict, "taken")
	for name, c := range map[string]struct {
		err  error
		want fault.Kind
	}{
		"nothing":           {nil, fault.Internal},
		"a plain error":     {io.EOF, fault.Internal},
		"a fault":           {inner, fault.Conflict},
		"wrapped by text":   {fmt.Errorf("register: %w", inner), fault.Conflict},
		"the outermost":     {fault.Wrap(fault.Busy, "", inner), fault.Busy},
		"a deadline":        {fmt.Errorf("wait: %w", context.DeadlineExceeded), fault.Expired},
		"a cancel":          {context.Canceled, fault.Canceled},
		"a fault around it": {fault.Wrap(fault.Worker, "", context.Canceled), fault.Worker},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, fault.KindOf(c.err))
			assert.Equal(t, c.err != nil, fault.Is(c.err, c.want))
		})
	}
}

func TestTexts(t *testing.T) {
	cause := errors.New("disk full")
	t.Run("log", func(t *testing.T) {
		for want, err := range map[string]*fault.Error{
			"busy":                             {Kind: fault.Busy},
			"no room":                          fault.New(fault.Busy, "no room"),
			"register: m: no room: disk full":  {Op: "register", Subject: "m", Message: "no room", Err: cause},
			"write key file: disk full (free)": {Op: "write key file", Err: cause, Hint: "free"},
		} {
			assert.EqualError(t, err, want)
		}
		assert.ErrorIs(t, fault.Wrap(fault.Internal, "", cause), cause)
	})
	t.Run("client", func(t *testing.T) {
		for name, c := range map[string]struct {
			err  error
			want string
		}{
			"no fault":                  {cause, ""},
			"its message":               {fault.Wrap(fault.BadRequest, "bad", cause), "bad"},
			"the cause, where shown":    {fault.Wrap(fault.BadRequest, "", cause), "disk full"},
			"not the cause, where not":  {fault.Wrap(fault.Internal, "", cause), ""},
			"the message of the cause":  {fault.Wrap(fault.Conflict, "", &fault.Error{Op: "secret", Message: "taken"}), "taken"},
			"nothing, without a cause":  {fault.New(fault.BadRequest, ""), ""},
			"the outermost that speaks": {fmt.Errorf("x: %w", fault.New(fault.Busy, "wait")), "wait"},
		} {
			assert.Equal(t, c.want, fault.Message(c.err), name)
		}
	})
	t.Run("details", func(t *testing.T) {
		assert.Equal(t, "last words", fault.Details(fmt.Errorf("x: %w", &fault.Error{Details: "last words"})))
		assert.Empty(t, fault.Details(cause))
	})
}

func TestStatus(t *testing.T) {
	worker := func(code int) error { return fmt.Errorf("x: %w", &fault.Error{Kind: fault.Worker, Status: code}) }
	t.Run("INF-114 a worker's own code, 413 as 507", func(t *testing.T) {
		assert.Equal(t, 500, fault.Status(worker(0)))
		assert.Equal(t, 404, fault.Status(worker(404)))
		assert.Equal(t, 507, fault.Status(worker(413)))
	})
	t.Run("of the table", func(t *testing.T) {
		assert.Equal(t, 413, fault.Status(fault.New(fault.TooLarge, "")))
		assert.Equal(t, 500, fault.Status(io.EOF))
		assert.Equal(t, 504, fault.Status(context.DeadlineExceeded))
	})
	t.Run("SCH-078 HTTP to gRPC", func(t *testing.T) {
		for code, want := range map[int]uint32{
			200: 0, 299: 0, 400: 3, 401: 16, 403: 7, 404: 5, 409: 10, 413: 8, 416: 11, 429: 8, 499: 1, 418: 9, 422: 9,
			500: 13, 501: 12, 502: 13, 503: 14, 504: 4, 507: 13, 599: 13, 100: 2, 302: 2, 600: 2, 0: 2, -1: 2,
		} {
			assert.Equal(t, want, fault.GRPCOf(code), code)
		}
	})
	t.Run("gRPC of a fault", func(t *testing.T) {
		assert.EqualValues(t, 8, fault.GRPC(worker(413)), "not 507's")
		assert.EqualValues(t, 14, fault.GRPC(worker(503)))
		assert.EqualValues(t, 13, fault.GRPC(worker(0)))
		assert.EqualValues(t, 13, fault.GRPC(fault.New(fault.Busy, "")), "0.12's, not UNAVAILABLE")
		assert.EqualValues(t, 7, fault.GRPC(fault.New(fault.InvalidKey, "")))
	})
}
