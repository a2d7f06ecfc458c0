package config

// Config is everything that can be configured, validated. It is passed by
// value and never changed; callers must not change its slices and maps.
type Config struct {
	Source    Source
	Listen    Listen
	HTTP      HTTP
	Models    Models
	Workers   Workers
	Security  Security
	Metrics   Metrics
	Logs      Logs
	Snapshots Snapshots
	Server    Server
	Warnings  []Warning // for the log, once it is open

	set  settings   // effective, by key
	file []Property // as the source said
}

// SourceKind says where the properties came from.
type SourceKind uint8

// The kinds of properties sources, in the order in which they are tried.
const (
	NoSource       SourceKind = iota // defaults only
	NamedSource                      // TS_CONFIG_FILE or --ts-config
	SnapshotSource                   // the newest snapshot, found by itself
	LocalSource                      // config.properties in the working directory
)

// Source is the properties source that was used. File is its path as given,
// empty without one. JVMArgs is the text of vmargs; where it is not empty the
// command prints a warning with it (CLI §2 step 7).
type Source struct {
	Kind    SourceKind
	File    string
	JVMArgs string
}
