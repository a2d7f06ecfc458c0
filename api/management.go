package api

import "slices"

// Model returns the document of the management routes of one model, for a
// server of the given version. The paths keep their braces, as in 0.12.
func Model(version, model string) []byte {
	return document{
		Info:  info{Title: "RESTful Management API for: " + model, Version: version},
		Paths: oneModel(),
	}.text()
}

// management lists what only the management listener has.
func management() members[path] {
	return slices.Concat(at("/models", path{Get: listModels(), Post: registerModel()}), oneModel())
}

func oneModel() members[path] {
	name := inPath("model_name", "Name of the model.")
	version := inPath("model_version", "Version of the model.")
	byName := target{parameters: []parameter{name}, of: "the default version of a model"}
	byVersion := target{prefix: "version_", parameters: []parameter{name, version}, of: "one version of a model"}
	return members[path]{
		{"/models/{model_name}", byName.path()},
		{"/models/{model_name}/{model_version}", byVersion.path()},
		{"/models/{model_name}/{model_version}/set-default", path{Put: byVersion.setDefault()}},
	}
}

func listModels() *operation {
	return &operation{
		Description: "Lists the registered models by name, page by page.",
		ID:          "listModels",
		Parameters: []parameter{
			query("limit", kindInteger, "100", "Largest number of models in the answer."),
			query("next_page_token", kindText, "", "Where the page begins: nextPageToken of the page before."),
		},
		Responses: answers(on("200", "OK", contentOf(contentJSON, models()))),
	}
}

func registerModel() *operation {
	url := query("url", kindText, "", "Archive of the model: a file of the model store, or a URL to download it from.")
	url.Required = true
	runtime := query("runtime", kindText, "", "Runtime of the workers, instead of the archive's.")
	runtime.Schema.Enum = []string{"PYTHON", "PYTHON3", "LSP"}
	return &operation{
		Description: "Registers the model of an archive and starts workers for it if asked to.",
		ID:          "registerModel",
		Parameters: []parameter{
			url,
			query("model_name", kindText, "", "Name to register the model under, instead of the archive's."),
			query("handler", kindText, "", "Entry point of the model's code, instead of the archive's."),
			runtime,
			query("batch_size", kindInteger, "1", "Number of requests that a worker gets at once, at most."),
			query("max_batch_delay", kindInteger, "100", "Milliseconds to wait for a batch to fill."),
			query("response_timeout", kindInteger, "2", "Seconds that a worker has for its answer."),
			query("startup_timeout", kindInteger, "120", "Seconds that a worker has to load the model."),
			query("initial_workers", kindInteger, "0", "Number of workers to start."),
			query("synchronous", kindFlag, "false", "Whether the answer waits for the workers."),
			query("s3_sse_kms", kindFlag, "false", "Whether the archive lies in S3, encrypted with a key of KMS."),
		},
		Responses: answers(
			on("200", "Model registered", success()),
			on("202", "Accepted", success()),
			on("210", "Partial Success", success()),
			on("400", "Bad request", failure()),
			on("404", "Model not found", failure()),
			on("409", "Model already registered", failure()),
		),
	}
}

// target is what an operation works on: the default version of a model or a
// named one.
type target struct {
	prefix     string // of operation ids
	parameters []parameter
	of         string // in descriptions
}

func (t target) path() path {
	return path{Get: t.describe(), Put: t.scale(), Delete: t.unregister()}
}

func (t target) describe() *operation {
	return &operation{
		Description: "Describes " + t.of + " and its workers.",
		ID:          t.prefix + "describeModel",
		Parameters:  t.parameters,
		Responses:   answers(on("200", "OK", contentOf(contentJSON, status())), unknown()),
	}
}

func (t target) scale() *operation {
	return &operation{
		Description: "Sets the number of workers of " + t.of + ".",
		ID:          t.prefix + "setAutoScale",
		Parameters: slices.Concat(t.parameters, []parameter{
			query("min_worker", kindInteger, "1", "Smallest number of workers."),
			query("max_worker", kindInteger, "1", "Largest number of workers."),
			query("number_gpu", kindInteger, "0", "Ignored."),
			query("synchronous", kindFlag, "false", "Whether the answer waits for the workers."),
			query("timeout", kindInteger, "-1", "Ignored."),
		}),
		Responses: answers(
			on("200", "Model workers updated", success()),
			on("202", "Accepted", success()),
			on("210", "Partial Success", success()),
			on("400", "Bad request", failure()),
			unknown(),
		),
	}
}

func (t target) unregister() *operation {
	return &operation{
		Description: "Unregisters " + t.of + " and ends its workers.",
		ID:          t.prefix + "unregisterModel",
		Parameters: slices.Concat(t.parameters, []parameter{
			query("synchronous", kindFlag, "false", "Ignored."),
			query("timeout", kindInteger, "-1", "Ignored."),
		}),
		Responses: answers(
			on("200", "Model unregistered", success()),
			on("202", "Accepted", success()),
			unknown(),
			on("408", "Request Timeout Error", failure()),
		),
	}
}

func (t target) setDefault() *operation {
	return &operation{
		Description: "Makes " + t.of + " its default one.",
		ID:          "setDefault",
		Parameters:  t.parameters,
		Responses:   answers(on("200", "Default version successfully updated for model", success()), unknown()),
	}
}

func unknown() member[response] {
	return on("404", "Model not found or Model version not found", failure())
}

// models is the schema of a page of models.
func models() schema {
	next := prop("nextPageToken", kindText, "Asks for the next page; missing on the last one.")
	next.optional = true
	all := listOf(object(
		prop("modelName", kindText, "Name of the model."),
		prop("modelUrl", kindText, "Archive of the model."),
	))
	all.Description = "The models of this page."
	return object(next, property{name: "models", schema: all})
}

// status is the schema of a described version. The answer is a list of such
// objects, which 0.12 does not say.
func status() schema {
	size := prop("batchSize", kindInteger, "Number of requests that a worker gets at once, at most.")
	delay := prop("maxBatchDelay", kindInteger, "Milliseconds to wait for a batch to fill.")
	size.optional, delay.optional = true, true
	all := listOf(workerStatus())
	all.Description = "The workers of the version."
	return object(
		prop("modelName", kindText, "Name of the model."),
		prop("modelVersion", kindText, "Version of the model."),
		prop("modelUrl", kindText, "Archive of the model."),
		prop("minWorkers", kindInteger, "Smallest number of workers."),
		prop("maxWorkers", kindInteger, "Largest number of workers."),
		size,
		delay,
		prop("status", kindText, "Health of the version."),
		property{name: "workers", schema: all},
		property{name: "metrics", schema: object(
			prop("rejectedRequests", kindInteger, "Number of requests that were refused."),
			prop("waitingQueueSize", kindInteger, "Number of requests that wait."),
			prop("requests", kindInteger, "Number of requests that were taken."),
		)},
		property{name: "jobQueueStatus", schema: object(
			prop("remainingCapacity", kindInteger, "Number of requests that the queue can still take."),
			prop("pendingRequests", kindInteger, "Number of requests that wait in the queue."),
		)},
	)
}

func workerStatus() schema {
	gpu := prop("gpu", kindFlag, "Whether the worker has a GPU.")
	gpu.optional = true
	state := prop("status", kindText, "State of the worker.")
	state.schema.Enum = []string{"READY", "LOADING", "UNLOADING"}
	return object(
		prop("id", kindText, "Id of the worker."),
		prop("startTime", kindText, "When the worker was started."),
		gpu,
		state,
	)
}
