package rest

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/gson"
)

// object is a JSON object of scalars, each as the text that a query would have.
type object map[string]string

func (o object) get(name string) (string, bool) {
	value, ok := o[name]
	return value, ok
}

// kinds of the values in a registration body.
const (
	kindText = iota
	kindNumber
	kindFlag
)

// registerKeys are the keys of a registration body and what may stand in them.
//
//nolint:gochecknoglobals // read-only table
var registerKeys = map[string]int{
	"url": kindText, "model_name": kindText, "handler": kindText, "runtime": kindText,
	"batch_size": kindNumber, "max_batch_delay": kindNumber, "initial_workers": kindNumber,
	"response_timeout": kindNumber, "startup_timeout": kindNumber,
	"synchronous": kindFlag, "s3_sse_kms": kindFlag,
}

// registerBody reads the body of a registration (MGT §4.1). Unknown keys and
// null are ignored; integers and booleans may be written as strings.
func registerBody(body []byte) (object, error) {
	document, err := gson.Parse(body)
	if err != nil {
		return nil, badBody(err.Error())
	}
	values, ok := document.(map[string]any)
	if !ok {
		return nil, badBody("not an object")
	}
	o := object{}
	for key, value := range values {
		kind, known := registerKeys[key]
		if !known || value == nil {
			continue
		}
		text, ok := scalar(value, kind)
		if !ok {
			return nil, badBody("wrong value for " + key)
		}
		o[key] = text
	}
	return o, nil
}

func badBody(reason string) error {
	return fault.New(fault.BadRequest, "Invalid request body: "+reason)
}

// scalar returns value as text, if it is of the kind or a string that reads so.
func scalar(value any, kind int) (string, bool) {
	switch v := value.(type) {
	case string:
		if kind == kindNumber {
			return whole(v)
		}
		return v, true
	case json.Number:
		if kind == kindNumber {
			return whole(v.String())
		}
		return v.String(), kind == kindText
	case bool:
		return strconv.FormatBool(v), kind != kindNumber
	default:
		return "", false
	}
}

// whole returns a number without fraction in its decimal form.
func whole(text string) (string, bool) {
	text = strings.TrimSpace(text)
	if _, err := strconv.ParseInt(text, 10, 32); err == nil {
		return text, true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != float64(int32(f)) {
		return "", false
	}
	return strconv.Itoa(int(f)), true
}
