package config

import (
	"cmp"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Listen is where the server answers. Inference and Management are one
// listener when they are the same endpoint.
type Listen struct {
	Inference          Address
	Management         Address
	Metrics            Address
	GRPCInference      GRPC
	GRPCManagement     GRPC
	GRPCTLS            bool
	GRPCCanonicalCodes bool
	OpenInference      bool // KServe v2 routes and service
	OpenInferenceRaw   bool // BYTES outputs without quotes
	TLS                TLS
}

// GRPC is one gRPC listener. MaxAge and MaxAgeGrace of zero mean unlimited; a
// configured grace of zero is one nanosecond here, as grpc-go wants it.
type GRPC struct {
	Host        string
	Port        int
	MaxAge      time.Duration
	MaxAgeGrace time.Duration
}

// KeystoreType is the format of a keystore.
type KeystoreType string

// The formats that can be read.
const (
	PKCS12 KeystoreType = "PKCS12"
	JKS    KeystoreType = "JKS"
)

// TLS is the server's identity: the Keystore if there is one, else Key and
// Certificate if there are both, else a self-signed certificate. Paths are
// absolute. Do not log Password.
type TLS struct {
	Keystore     string
	KeystoreType KeystoreType
	Password     string
	Key          string
	Certificate  string
}

// SelfSigned reports whether no identity is configured.
func (t TLS) SelfSigned() bool {
	return t.Keystore == "" && (t.Key == "" || t.Certificate == "")
}

// HTTP is how REST requests are read and answered.
type HTTP struct {
	MaxRequest    int64 // bytes of a body, and of a gRPC message
	HeaderTimeout time.Duration
	IdleTimeout   time.Duration
	H2C           bool // HTTP/2 without TLS
	CORS          CORS
	Sequence      SequenceHeaders
	OpenAIModel   string // model[/version] served at /v1/…; empty: none
}

// CORS holds the texts of the Access-Control-Allow-… headers; empty: not sent.
type CORS struct{ Origin, Methods, Headers string }

// SequenceHeaders are the names of the request headers that carry a sequence.
type SequenceHeaders struct{ ID, Start, End string }

func (r *reader) listen() Listen {
	return Listen{
		Inference:          r.address("inference_address", Inference),
		Management:         r.address("management_address", Management),
		Metrics:            r.address("metrics_address", MetricsRole),
		GRPCInference:      r.grpc("inference"),
		GRPCManagement:     r.grpc("management"),
		GRPCTLS:            r.bool("enable_grpc_ssl"),
		GRPCCanonicalCodes: r.mustChoose("grpc_status_codes") == "canonical",
		OpenInference:      r.openInference(),
		OpenInferenceRaw:   r.bool("oip_raw_bytes_output"),
		TLS:                r.tls(),
	}
}

// openInference follows the key, unless the variable is set: then only the
// text oip switches on (section 6.3).
func (r *reader) openInference() bool {
	const key = "ts_open_inference_protocol"
	if p := r.set[key]; p.Origin == FromEnv {
		return p.Value == "oip"
	}
	return r.bool(key)
}

func (r *reader) address(key string, role Role) Address {
	a, err := ParseAddress(r.trimmed(key), role)
	switch {
	case err != nil:
		r.refuse(key, err.Error())
	case a.Scheme != Unix:
		r.resolve(key, a.Host)
	case !r.bool("use_native_io"):
		r.refuse(key, "unix domain socket requires use_native_io set to true.")
	case len(a.Path) > maxSocketPath:
		r.refuse(key, "Failed to bind to address: "+a.String()+": the path has more than "+strconv.Itoa(maxSocketPath)+" bytes")
	}
	return a
}

// maxSocketPath is the length in bytes of the path of a Unix socket that the
// system takes, without the zero at its end.
const maxSocketPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// resolve checks that a host to bind to has an address.
func (r *reader) resolve(key, host string) {
	if r.src.Resolve == nil || net.ParseIP(host) != nil || strings.Contains(host, "%") {
		return
	}
	if err := r.src.Resolve(host); err != nil {
		r.refuse(key, "Failed to resolve address: "+r.trimmed(key))
	}
}

func (r *reader) grpc(name string) GRPC {
	prefix := "grpc_" + name
	g := GRPC{
		Host: cmp.Or(strings.Trim(r.trimmed(prefix+"_address"), "[]"), "127.0.0.1"),
		Port: int(r.int(prefix + "_port")),
	}
	r.resolve(prefix+"_address", g.Host)
	if key := prefix + "_max_connection_age_ms"; r.isSet(key) {
		n, ok := r.number(key)
		if ok && n <= 0 {
			r.refuse(key, "max connection age must be positive: "+strconv.FormatInt(n, 10))
		}
		g.MaxAge = boundedAge(max(n, 1000)) // as 0.12's transport
	}
	if key := prefix + "_max_connection_age_grace_ms"; r.isSet(key) {
		n, ok := r.number(key)
		if ok && n < 0 {
			r.refuse(key, "max connection age grace must be non-negative: "+strconv.FormatInt(n, 10))
		}
		g.MaxAgeGrace = boundedAge(n)
		if n == 0 {
			g.MaxAgeGrace = 1
		}
	}
	return g
}

// boundedAge turns milliseconds into a duration; 1000 days and more are
// unlimited (grpc.md §11).
func boundedAge(ms int64) time.Duration {
	const unlimited = 1000 * 24 * time.Hour
	if ms >= unlimited.Milliseconds() {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// tls reads the identity and, where it is used, checks that its files are
// there.
func (r *reader) tls() TLS {
	t := TLS{
		Keystore:    r.path("keystore"),
		Password:    r.text("keystore_pass"),
		Key:         r.path("private_key_file"),
		Certificate: r.path("certificate_file"),
	}
	kind, known := r.choice("keystore_type")
	t.KeystoreType = KeystoreType(kind)
	https := r.usesHTTPS()
	grpc := r.bool("enable_grpc_ssl")
	switch {
	case !https && !grpc: // 0.12 did not look at any of it
	case t.SelfSigned() && grpc:
		r.refuse("enable_grpc_ssl", "enable_grpc_ssl requires certificate_file and private_key_file")
	case t.SelfSigned():
		r.warn(Warning{Level: Warn, Text: "No certificate is configured: https listeners use a self-signed one"})
	case t.Keystore != "":
		r.mustExist("keystore", t.Keystore)
		if !known {
			row, _ := Lookup("keystore_type") // in the table
			r.fault(Fault{Key: row.Name, Message: "Unsupported keystore type: " + r.trimmed(row.Name), Rule: row.String(), Where: r.set[row.Name].Where})
		}
	default:
		r.mustExist("private_key_file", t.Key)
		r.mustExist("certificate_file", t.Certificate)
	}
	return t
}

func (r *reader) usesHTTPS() bool {
	keys := []string{"inference_address", "management_address"}
	if r.bool("enable_metrics_api") {
		keys = append(keys, "metrics_address")
	}
	return slices.ContainsFunc(keys, func(key string) bool {
		return strings.HasPrefix(strings.ToLower(r.trimmed(key)), "https:")
	})
}

func (r *reader) mustExist(key, path string) {
	if !isFile(path) {
		r.refuse(key, key+": file not found: "+path)
	}
}

func (r *reader) http() HTTP {
	return HTTP{
		MaxRequest:    r.int("max_request_size"),
		HeaderTimeout: r.seconds("http_header_timeout_sec"),
		IdleTimeout:   r.seconds("http_idle_timeout_sec"),
		H2C:           r.bool("enable_h2c"),
		CORS: CORS{
			Origin:  r.text("cors_allowed_origin"),
			Methods: r.text("cors_allowed_methods"),
			Headers: r.text("cors_allowed_headers"),
		},
		Sequence: SequenceHeaders{
			ID:    r.text("ts_header_key_sequence_id"),
			Start: r.text("ts_header_key_sequence_start"),
			End:   r.text("ts_header_key_sequence_end"),
		},
		OpenAIModel: r.trimmed("openai_routes"),
	}
}
