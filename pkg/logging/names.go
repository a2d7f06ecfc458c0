package logging

// Names of the loggers that have a file or a level of their own.
const (
	AccessName       = "ACCESS_LOG"
	ModelName        = "MODEL_LOG"
	MetricsName      = "TS_METRICS"
	ModelMetricsName = "MODEL_METRICS"
	TelemetryName    = "TELEMETRY_METRICS"
)

// Names of the server's loggers: those of the Java classes of 0.12, which
// operators' filters know (LOG §4).
const (
	ModelServer          = "org.pytorch.serve.ModelServer"
	ConfigManager        = "org.pytorch.serve.util.ConfigManager"
	TokenAuthorization   = "org.pytorch.serve.util.TokenAuthorization"        //nolint:gosec // a name, no credential
	TokenHandler         = "org.pytorch.serve.http.TokenAuthorizationHandler" //nolint:gosec // a name, no credential
	PluginsManager       = "org.pytorch.serve.servingsdk.impl.PluginsManager"
	MetricConfiguration  = "org.pytorch.serve.metrics.configuration.MetricConfiguration"
	MetricCache          = "org.pytorch.serve.metrics.MetricCache"
	MetricCollector      = "org.pytorch.serve.metrics.MetricCollector"
	WorkerThread         = "org.pytorch.serve.wlm.WorkerThread"
	AsyncWorkerThread    = "org.pytorch.serve.wlm.AsyncWorkerThread"
	WorkerLifeCycle      = "org.pytorch.serve.wlm.WorkerLifeCycle"
	WorkLoadManager      = "org.pytorch.serve.wlm.WorkLoadManager"
	BatchAggregator      = "org.pytorch.serve.wlm.BatchAggregator"
	AsyncBatchAggregator = "org.pytorch.serve.wlm.AsyncBatchAggregator"
	ContinuousBatching   = "org.pytorch.serve.wlm.ContinuousBatching"
	SequenceBatching     = "org.pytorch.serve.wlm.SequenceBatching"
	SequenceContinuous   = "org.pytorch.serve.wlm.SequenceContinuousBatching"
	Model                = "org.pytorch.serve.wlm.Model"
	ModelManager         = "org.pytorch.serve.wlm.ModelManager"
	ModelVersionedRefs   = "org.pytorch.serve.wlm.ModelVersionedRefs"
	RestJob              = "org.pytorch.serve.job.RestJob"
	GRPCJob              = "org.pytorch.serve.job.GRPCJob"
	HTTPRequestHandler   = "org.pytorch.serve.http.HttpRequestHandler"
	SnapshotManager      = "org.pytorch.serve.snapshot.SnapshotManager"
	FSSnapshotSerializer = "org.pytorch.serve.snapshot.FSSnapshotSerializer"
	WorkflowManager      = "org.pytorch.serve.workflow.WorkflowManager"
	DagExecutor          = "org.pytorch.serve.ensemble.DagExecutor"
	ModelArchive         = "org.pytorch.serve.archive.model.ModelArchive"
	ModelConfig          = "org.pytorch.serve.archive.model.ModelConfig"
	ArchiveUtils         = "org.pytorch.serve.archive.utils.ArchiveUtils"
	SystemInfo           = "org.pytorch.serve.device.SystemInfo"
	loggingName          = "org.pytorch.serve.Logging" // ours: speaks about the log itself
)

// MainThread is the thread text of start-up and shutdown.
const MainThread = "main"
