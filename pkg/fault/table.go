package fault

// Kind names a class of failure. The list is append-only: its numbers are
// written to logs.
type Kind uint8

// The kinds, named for what happened and not for how it is answered.
const (
	Internal         Kind = iota // a mistake of ours, or of the machine
	BadRequest                   // the client's request makes no sense
	RouteNotFound                // no such path
	ModelNotFound                // no such model, or no such archive
	VersionNotFound              // the model exists, the version does not
	WorkflowNotFound             // no such workflow
	MethodNotAllowed             // the path exists, the method does not
	InvalidKey                   // token missing, wrong or expired
	Conflict                     // name and version are taken
	InvalidModel                 // the archive's content is wrong
	ModelSetup                   // dependencies or virtual environment failed
	Download                     // an archive could not be fetched
	DefaultVersion               // the default version cannot be removed
	Busy                         // no worker, full queue, or stopping
	CleanupTimeout               // a worker did not end in time
	Expired                      // the client's time is over
	Canceled                     // the client has gone
	WorkerStart                  // workers cannot be started at all
	Worker                       // a worker failed or refused a job; Status says how
	TooLarge                     // body above max_request_size
	OutOfMemory                  // this process ran out of memory
	kinds
)

// Level is how loudly a failure of a kind is logged by the edge that answers it.
type Level uint8

// Levels of a failure: Quiet ones are in the access log only.
const (
	Quiet Level = iota
	Warn
	Loud
)

// Row is what clients and the log see of a kind. Status is the HTTP status,
// Type the name in a REST error body, GRPC the canonical gRPC code (0 to 16).
type Row struct {
	Name      string
	Status    int
	Type      string
	GRPC      uint32
	Level     Level
	ShowCause bool
}

// table follows rest-inference.md §11.1, rest-management.md §1.4 and, for the
// gRPC column, grpc.md §6. A kind without a row fails a test.
//
//nolint:gochecknoglobals // read-only table
var table = [kinds]Row{
	Internal:         {"internal", 500, "InternalServerException", 13, Loud, false},
	BadRequest:       {"bad request", 400, "BadRequestException", 3, Quiet, true},
	RouteNotFound:    {"route not found", 404, "ResourceNotFoundException", 5, Quiet, false},
	ModelNotFound:    {"model not found", 404, "ModelNotFoundException", 5, Quiet, true},
	VersionNotFound:  {"version not found", 404, "ModelVersionNotFoundException", 5, Quiet, true},
	WorkflowNotFound: {"workflow not found", 404, "WorkflowNotFoundException", 5, Quiet, true},
	MethodNotAllowed: {"method not allowed", 405, "MethodNotAllowedException", 12, Quiet, false},
	InvalidKey:       {"invalid key", 400, "InvalidKeyException", 7, Quiet, false},
	Conflict:         {"conflict", 409, "ConflictStatusException", 10, Quiet, true},
	InvalidModel:     {"invalid model", 400, "InvalidModelException", 3, Warn, true},
	ModelSetup:       {"model setup", 400, "ModelException", 3, Warn, true},
	Download:         {"download", 400, "DownloadArchiveException", 3, Warn, false},
	DefaultVersion:   {"default version", 403, "InvalidModelVersionException", 7, Quiet, true},
	Busy:             {"busy", 503, "ServiceUnavailableException", 13, Quiet, true},
	CleanupTimeout:   {"cleanup timeout", 408, "RequestTimeoutException", 9, Warn, true},
	Expired:          {"expired", 504, "InternalServerException", 4, Quiet, true},
	Canceled:         {"canceled", 499, "InternalServerException", 1, Quiet, false},
	WorkerStart:      {"worker start", 500, "WorkerInitializationException", 13, Warn, true},
	Worker:           {"worker", 500, "InternalServerException", 13, Warn, true},
	TooLarge:         {"too large", 413, "BadRequestException", 8, Quiet, true},
	OutOfMemory:      {"out of memory", 507, "OutOfMemoryError", 8, Loud, false},
}

// outOfMemory is the code by which a worker, or the way it ended, says that
// memory ran out.
const outOfMemory = 413

// GRPCOf returns the canonical gRPC code of an HTTP-like code (SCH §18).
func GRPCOf(code int) uint32 {
	if c, ok := grpcCodes[code]; ok {
		return c
	}
	switch code / 100 {
	case 2:
		return 0 // OK
	case 4:
		return 9 // FAILED_PRECONDITION
	case 5:
		return 13 // INTERNAL
	default:
		return 2 // UNKNOWN
	}
}

//nolint:gochecknoglobals // read-only table
var grpcCodes = map[int]uint32{
	400: 3,  // INVALID_ARGUMENT
	401: 16, // UNAUTHENTICATED
	403: 7,  // PERMISSION_DENIED
	404: 5,  // NOT_FOUND
	409: 10, // ABORTED
	413: 8,  // RESOURCE_EXHAUSTED
	416: 11, // OUT_OF_RANGE
	429: 8,
	499: 1,  // CANCELLED
	501: 12, // UNIMPLEMENTED
	503: 14, // UNAVAILABLE
	504: 4,  // DEADLINE_EXCEEDED
}

// Fixed messages of 0.12 that belong to a kind rather than to an occasion.
const (
	RouteNotFoundMessage    = "Requested resource is not found, please refer to API document."
	MethodNotAllowedMessage = "Requested method is not allowed, please refer to API document."
)

// Row returns the row of k; an unknown number is answered as Internal.
func (k Kind) Row() Row {
	if k >= kinds {
		return table[Internal]
	}
	return table[k]
}

// String returns the name of k for logs.
func (k Kind) String() string { return k.Row().Name }

// Kinds returns every kind, in order.
func Kinds() []Kind {
	all := make([]Kind, 0, kinds)
	for k := range kinds {
		all = append(all, k)
	}
	return all
}
