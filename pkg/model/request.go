package model

import "time"

// Registration is what a client asks for when it registers a model. Nil
// pointers and empty texts mean "not given": the archive's own configuration
// or the server's default then decides (decisions.md, "precedence of model
// parameters").
type Registration struct {
	URL         string
	Name        Name
	Handler     *string // any given text, even empty, replaces the manifest's
	Runtime     Runtime
	BatchSize   *int
	BatchDelay  *time.Duration
	Workers     *int // initial workers
	Response    *time.Duration
	Startup     *time.Duration
	S3SSEKMS    bool // sign the download for S3
	Synchronous bool // wait for the workers
}

// Registered is the outcome of a registration.
type Registered struct {
	Name     Name
	Version  Version
	Workers  int // wanted at least
	Progress Progress
}

// Scaling is a wanted number of workers and whether the caller waits for them.
type Scaling struct {
	Workers     Workers
	Synchronous bool
}

// Progress says how far a change of workers has come when its caller is
// answered.
type Progress uint8

// The stages of a change of workers.
const (
	Done     Progress = iota // all wanted workers serve
	Accepted                 // the change goes on, nobody waits
	Partial                  // it succeeded, yet fewer workers run than wanted
)

// Listed is a model in a listing.
type Listed struct {
	Name Name
	URL  string // of its default version, as given by the client
}
