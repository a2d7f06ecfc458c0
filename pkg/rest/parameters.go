package rest

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// source is where the parameters of a management call come from: the query, or
// a JSON body.
type source interface {
	get(name string) (string, bool)
}

// parameters reads values the lax way of 0.12 and remembers what it had to
// ignore (decisions.md, "What worked keeps working").
type parameters struct {
	source  source
	ignored []pair
}

// text returns a parameter, nil where it is not given.
func (p *parameters) text(name string) *string {
	if value, ok := p.source.get(name); ok {
		return &value
	}
	return nil
}

// number returns a 32-bit integer, nil where it is not given or not one.
func (p *parameters) number(name string) *int {
	text, ok := p.source.get(name)
	if !ok {
		return nil
	}
	value, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		p.ignore(name, text)
		return nil
	}
	n := int(value)
	return &n
}

func (p *parameters) integer(name string, otherwise int) int {
	if n := p.number(name); n != nil {
		return *n
	}
	return otherwise
}

func (p *parameters) boolean(name string, otherwise bool) bool {
	text, ok := p.source.get(name)
	switch {
	case !ok:
		return otherwise
	case strings.EqualFold(text, "true"):
		return true
	case strings.EqualFold(text, "false"):
		return false
	default:
		p.ignore(name, text)
		return otherwise
	}
}

// atLeast returns a number of which values below least count as least. The
// value mark is 0.12's internal "not given".
func (p *parameters) atLeast(name string, least, mark int) *int {
	n := p.number(name)
	switch {
	case n == nil, *n == mark:
		return nil
	case *n < least:
		p.ignore(name, strconv.Itoa(*n))
		return &least
	default:
		return n
	}
}

func (p *parameters) duration(name string, unit time.Duration, mark int) *time.Duration {
	n := p.atLeast(name, 0, mark)
	if n == nil {
		return nil
	}
	d := time.Duration(*n) * unit
	return &d
}

func (p *parameters) ignore(name, value string) { p.ignored = append(p.ignored, pair{name, value}) }

// warn tells client and log of each parameter that was not taken as it stands,
// or refuses the call where the server is configured to be strict.
func (e *edge) warn(w http.ResponseWriter, p *parameters) error {
	for _, lax := range p.ignored {
		if e.cfg.StrictParameters {
			return fault.New(fault.BadRequest, "Invalid value for parameter "+lax.name+": "+lax.value)
		}
		e.deps.Log.Warn().Str("parameter", lax.name).Str("value", lax.value).Msg("A parameter was ignored")
		text := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(lax.name + "=" + lax.value)
		w.Header().Add(headerWarning, `299 - "`+e.headerValue(headerWarning, text)+` ignored"`)
	}
	return nil
}

// registerParameters returns what a registration is made of: a JSON body alone
// where there is one, else the query alone.
func (e *edge) registerParameters(w http.ResponseWriter, r *http.Request) (*parameters, error) {
	mime, _, _ := strings.Cut(r.Header.Get(headerContentType), ";")
	if !strings.EqualFold(strings.TrimSpace(mime), contentJSON) {
		q, err := parseQuery(r.RequestURI)
		return &parameters{source: q}, err
	}
	body, err := e.readBody(w, r)
	if err != nil {
		return nil, err
	}
	object, err := registerBody(body)
	return &parameters{source: object}, err
}

// registration reads the parameters of POST /models (MGT §4.2). Which of them
// counts against the archive's own configuration is not decided here.
func registration(p *parameters) (model.Registration, error) {
	url := p.text("url")
	if url == nil {
		return model.Registration{}, fault.New(fault.BadRequest, "Parameter url is required.")
	}
	r := model.Registration{
		URL:         *url,
		Handler:     p.text("handler"),
		BatchSize:   p.atLeast("batch_size", 1, -1),
		BatchDelay:  p.duration("max_batch_delay", time.Millisecond, -100),
		Workers:     p.atLeast("initial_workers", 0, noMark),
		Response:    p.duration("response_timeout", time.Second, -1),
		Startup:     p.duration("startup_timeout", time.Second, -1),
		S3SSEKMS:    p.boolean("s3_sse_kms", false),
		Synchronous: p.boolean("synchronous", true),
	}
	if name := p.text("model_name"); name != nil {
		r.Name = model.Name(*name)
	}
	if text := p.text("runtime"); text != nil {
		runtime, ok := model.ParseRuntime(*text)
		if !ok {
			return r, fault.New(fault.BadRequest, "Invalid RuntimeType value: "+*text)
		}
		r.Runtime = runtime
	}
	return r, nil
}

// noMark is no value that a client would send to mean "not given".
const noMark = -1 << 40
