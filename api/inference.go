package api

// Prediction returns the document of the prediction routes of one model. It
// names a path that does not exist, and two with their braces, as 0.12 does.
func Prediction(model string) []byte {
	predict := path{Post: &operation{
		Description: "A predict entry point for model: " + model + ".",
		ID:          model,
		Parameters:  []parameter{},
		Responses:   answers(on("200", "OK", nil)),
	}}
	return document{
		Info: info{Title: "RESTful API for: " + model, Version: "1.0.0"},
		Paths: members[path]{
			{"/prediction/" + model, predict},
			{"/v1/models/{model_name}:predict", predict},
			{"/v2/models/{model_name}/infer", predict},
		},
	}.text()
}

// inference lists what only the inference listener has.
func inference() members[path] {
	name, version := inPath("model_name", "Name of model."), inPath("model_version", "Name of model version.")
	byName := path{Post: predict("predictions",
		"Predictions entry point to get inference using default model version.", name)}
	byVersion := path{Post: predict("version_predictions",
		"Predictions entry point to get inference using specific model version.", name, version)}
	return members[path]{
		{"/ping", path{Get: ping()}},
		{"/v1/models/{model_name}:predict", byName},
		{"/v2/models/{model_name}/infer", byName},
		{"/predictions/{model_name}", byName},
		{"/predictions/{model_name}/{model_version}", byVersion},
	}
}

func ping() *operation {
	return &operation{
		Description: "Get TorchServe status.",
		ID:          "ping",
		Parameters:  []parameter{},
		Responses: answers(on("200", "TorchServe status", contentOf(contentJSON, object(
			prop("status", kindText, "Overall status of the TorchServe."),
		)))),
	}
}

func predict(id, description string, parameters ...parameter) *operation {
	anything := contentOf("*/*", schema{Type: kindText, Format: "binary"})
	return &operation{
		Description: description,
		ID:          id,
		Parameters:  parameters,
		RequestBody: &requestBody{
			Description: "Input data format is defined by each model.", Content: anything, Required: true,
		},
		Responses: answers(
			on("200", "Output data format is defined by each model.", anything),
			on("404", "Model not found or Model Version not found", failure()),
			on("503", "No worker is available to serve request", failure()),
		),
	}
}
