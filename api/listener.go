package api

import "slices"

// Inference returns the document of the inference listener of a server of the
// given version.
func Inference(version string) []byte {
	return listener(version, slices.Concat(root(), inference(), deprecated()))
}

// Management returns the document of the management listener.
func Management(version string) []byte {
	return listener(version, slices.Concat(root(), management(), deprecated()))
}

// Metrics returns the document of the metrics listener.
func Metrics(version string) []byte { return listener(version, nil) }

// Combined returns the document of a listener that is inference and management
// in one.
func Combined(version string) []byte {
	return listener(version, slices.Concat(root(), inference(), deprecated(), management()))
}

// listener returns a document of the given paths and of /metrics, which is the
// last one of every listener.
func listener(version string, paths members[path]) []byte {
	return document{
		Info: info{
			Title:       "TorchServe APIs",
			Description: "TorchServe is a flexible and easy to use tool for serving deep learning models",
			Version:     version,
		},
		Paths: slices.Concat(paths, metrics()),
	}.text()
}

func root() members[path] { return at("/", path{Options: describe("apiDescription")}) }

func deprecated() members[path] {
	op := describe("api-description")
	op.Deprecated = true
	return at("/api-description", path{Get: op})
}

// describe is the operation that answers with these documents.
func describe(id string) *operation {
	return &operation{
		Description: "Get openapi description.",
		ID:          id,
		Parameters:  []parameter{},
		Responses: answers(on("200", "A openapi 3.0.1 descriptor", contentOf(contentJSON, object(
			prop("openapi", kindText, ""), prop("info", kindObject, ""), prop("paths", kindObject, ""),
		)))),
	}
}

func metrics() members[path] {
	return at("/metrics", path{Get: &operation{
		Description: "Get TorchServe application metrics in prometheus format.",
		ID:          "metrics",
		Parameters:  []parameter{query("name[]", kindText, "", "Names of metrics to filter")},
		Responses: answers(on("200", "TorchServe application metrics", contentOf(
			"text/plain; version=0.0.4; charset=utf-8", object(
				prop("# HELP", kindText, "Help text for TorchServe metric."),
				prop("# TYPE", kindText, "Type of TorchServe metric."),
				prop("metric", kindText, "TorchServe application metric."),
			)))),
	}})
}
