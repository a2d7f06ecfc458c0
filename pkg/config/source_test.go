package config_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/config"
)

// snapshot writes a snapshot with so many models that says where it is from.
func (s *site) snapshot(name string, models int, lines ...string) string {
	state := fmt.Sprintf(`model_snapshot={"modelCount"\: %d, "created"\: %s, "models"\: {}}`, models, strings.TrimLeft(name[10:17], "0")+"0")
	return s.file("logs/config/"+name, strings.Join(append(lines, state, "which="+name), "\n"))
}

const (
	older = "20260101000000001-startup.cfg"
	newer = "20260101120000002-snapshot.cfg"
)

func TestSource(t *testing.T) {
	t.Parallel()
	t.Run("CFG-002 CLI-036 CLI-037 the order of the sources", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		assert.Equal(t, config.Source{}, s.load().Source)
		s.properties("which=local")
		c := s.load()
		assert.Equal(t, config.Source{Kind: config.LocalSource, File: "config.properties"}, c.Source)
		assert.Equal(t, "local", effective(c, "which"))

		path := s.snapshot(newer, 0)
		c = s.load()
		assert.Equal(t, config.Source{Kind: config.SnapshotSource, File: path}, c.Source)
		assert.Equal(t, newer, effective(c, "which"))
		assert.Contains(t, texts(c), "Restoring from snapshot "+path+", config.properties is ignored")
		assert.True(t, c.Snapshots.Restoring)

		s.file("flag.properties", "which=flag")
		s.src.Flags.ConfigFile = "flag.properties"
		c = s.load()
		assert.Equal(t, config.Source{Kind: config.NamedSource, File: "flag.properties"}, c.Source)
		assert.Equal(t, "flag", effective(c, "which"))
		assert.False(t, c.Snapshots.Restoring)

		s.file("env.properties", "which=env")
		s.env["TS_CONFIG_FILE"] = "env.properties"
		assert.Equal(t, "env", effective(s.load(), "which"))
	})
	t.Run("CFG-004 only regular files are read", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		require.NoError(t, syscall.Mkfifo(s.path("pipe"), 0o600))
		require.NoError(t, os.Symlink("/dev/zero", s.path("config.properties")))
		assert.Equal(t, config.Source{}, s.load().Source)
		for _, path := range []string{"pipe", "/dev/zero"} {
			s.src.Flags.ConfigFile = path
			assert.Equal(t, []string{"--ts-config file not found: " + path}, s.faults())
		}
	})
	t.Run("CFG-003 an empty TS_CONFIG_FILE", func(t *testing.T) {
		t.Parallel()
		s := with(t, "which=local")
		s.snapshot(newer, 0)
		s.env["TS_CONFIG_FILE"] = ""
		c := s.load()
		assert.Equal(t, config.Source{}, c.Source)
		assert.Equal(t, "(not set)", effective(c, "which"))
		assert.False(t, c.Snapshots.Restoring)
	})
	t.Run("CFG-004 a file that is missing", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.src.Flags.ConfigFile = "gone.properties"
		assert.Equal(t, []string{"--ts-config file not found: gone.properties"}, s.faults())
		s.env["TS_CONFIG_FILE"] = "store" // a directory
		assert.Equal(t, []string{"--ts-config file not found: store"}, s.faults())
	})
	t.Run("a file that cannot be read", func(t *testing.T) {
		t.Parallel()
		if os.Geteuid() == 0 {
			t.Skip("root reads everything")
		}
		s := with(t, "")
		require.NoError(t, os.Chmod(s.path("config.properties"), 0))
		assert.Equal(t, []string{"Invalid configuration: Unable to read configuration file (permission denied; config.properties)"}, s.faults())
	})
	t.Run("without snapshots", func(t *testing.T) {
		t.Parallel()
		s := with(t, "which=local")
		s.snapshot(newer, 0)
		s.src.Flags.NoConfigSnapshots = true
		c := s.load()
		assert.Equal(t, "local", effective(c, "which"))
		assert.False(t, c.Snapshots.Enabled)
	})
	t.Run("CLI-038 a snapshot named by the user is restored all the same", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.src.Flags.NoConfigSnapshots = true
		s.src.Flags.ConfigFile = s.snapshot(newer, 1, "enable_model_api=true")
		c := s.load()
		assert.True(t, c.Snapshots.Restoring)
		assert.JSONEq(t, `{"modelCount": 1, "created": 20, "models": {}}`, strings.Replace(c.Snapshots.State, "20000020", "20", 1))
		assert.NotContains(t, strings.Join(texts(c), "\n"), "Restored", "the user knows")
	})
	t.Run("CLI-039 foreign files are ignored, the newest counts", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.snapshot(older, 0)
		s.snapshot(newer, 0)
		for _, foreign := range []string{"99990101000000000-other.cfg", "9-startup.cfg", "99999999999999999-startup.cfg", "notes.txt", "99990101000000000-startup.cfg.tmp"} {
			s.file("logs/config/"+foreign, "which=foreign")
		}
		s.mkdir("logs/config/99980101000000000-startup.cfg")
		assert.Equal(t, newer, effective(s.load(), "which"))
	})
	t.Run("CLI-044 a damaged newest snapshot is skipped", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.snapshot(older, 0)
		for name, content := range map[string]string{
			"20260102000000000-shutdown.cfg": "which=no state",
			"20260103000000000-shutdown.cfg": `model_snapshot={"models": {`,
			"20260104000000000-shutdown.cfg": `a=\u12`,
		} {
			s.file("logs/config/"+name, content)
		}
		c := s.load()
		assert.Equal(t, older, effective(c, "which"))
		skipped := 0
		for _, text := range texts(c) {
			if strings.HasPrefix(text, "Skipping snapshot ") {
				skipped++
			}
		}
		assert.Equal(t, 3, skipped)
	})
	t.Run("within an hour the time inside counts", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.file("logs/config/20260101010000000-startup.cfg", "model_snapshot={\"created\"\\: 1}\nwhich=a")
		s.file("logs/config/20260101003000000-startup.cfg", "model_snapshot={\"created\"\\: 3}\nwhich=b")
		s.file("logs/config/20260101000000000-startup.cfg", "model_snapshot={\"created\"\\: 5}\nwhich=c")
		assert.Equal(t, "b", effective(s.load(), "which"))
		s.file("logs/config/20260101010000001-shutdown.cfg", `model_snapshot={"modelCount"\: 9`) // cut off
		s.file("logs/config/20260101010000002-shutdown.cfg", `model_snapshot={"created"\: 4, "models"\:`)
		c := s.load()
		assert.Equal(t, "b", effective(c, "which"))
		for _, name := range []string{"20260101010000001-shutdown.cfg", "20260101010000002-shutdown.cfg"} {
			assert.Contains(t, texts(c), "Skipping snapshot "+s.path("logs/config/"+name)+": no valid model_snapshot")
		}
	})
	t.Run("what an old snapshot switches is told, what flags say is not kept", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.snapshot(newer, 0, "disable_token_authorization=true", "enable_model_api=true", "version=0.11", "secret=$$HOME$$")
		s.env["HOME"] = "/h"
		c := s.load()
		assert.False(t, c.Security.TokensEnabled())
		assert.Contains(t, texts(c), "Restored from snapshot: disable_token_authorization=true")
		assert.Contains(t, texts(c), "Restored from snapshot: enable_model_api=true")

		s = with(t, "job_queue_size=7", "home=$$HOME$$")
		s.env["HOME"] = "/h"
		s.src.Flags.DisableTokenAuth, s.src.Flags.EnableModelAPI = true, true
		c = s.load()
		assert.Equal(t, "/h", effective(c, "home"))
		assert.Equal(t, "true", effective(c, "enable_model_api"))
		var kept []string
		for _, p := range c.Saved() {
			kept = append(kept, p.Key+"="+p.Value)
		}
		assert.Equal(t, []string{"job_queue_size=7", "home=$$HOME$$", "model_store=store"}, kept, "the archives are there")

		s = newSite(t)
		s.mkdir("other")
		s.src.Flags.ConfigFile = s.snapshot(newer, 1, "model_store=nowhere", "workflow_store=other", "keystore_pass=x")
		c = s.load()
		kept = nil
		for _, p := range c.Saved() {
			kept = append(kept, p.Key+"="+p.Value)
		}
		assert.Equal(t, []string{"workflow_store=other", "keystore_pass=x", "which=" + newer, "model_store=store"}, kept)
		assert.Equal(t, s.path("logs/config/"+newer), c.Snapshots.Restored)
	})
	t.Run("models beside a snapshot", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		path := s.snapshot(newer, 1, "load_models=all")
		c := s.load()
		assert.False(t, c.Models.LoadAll, "the key is ignored")
		s.src.Flags.Models = []string{"a.mar"}
		c = s.load()
		assert.Empty(t, c.Models.Load)
		assert.Contains(t, texts(c), "Models passed in --models are ignored, restoring from snapshot "+path)
		s.snapshot(newer, 0)
		assert.Equal(t, []config.Initial{{Location: "a.mar"}}, s.load().Models.Load, "an empty snapshot")
	})
}

func TestVariables(t *testing.T) {
	t.Parallel()
	t.Run("CFG-008 CFG-009 CFG-010 replacement", func(t *testing.T) {
		t.Parallel()
		s := with(t, "a=x$$FOO$$y$$FOO$$", "b=$$A$$", "c=$$BAR$$", "d=$$EMPTY$$", "e=$$AGAIN$$", "job_queue_size=$$NUM$$")
		s.env["FOO"], s.env["BAR"], s.env["EMPTY"], s.env["AGAIN"], s.env["NUM"] = "1", `a$1\b`, "", "$$FOO$$", "9"
		c := s.load()
		assert.Equal(t, "x1y1", effective(c, "a"))
		assert.Equal(t, "$$A$$", effective(c, "b"))
		assert.Equal(t, `a$1\b`, effective(c, "c"))
		assert.Empty(t, effective(c, "d"))
		assert.Equal(t, "$$FOO$$", effective(c, "e"), "results are not scanned again")
		assert.Equal(t, 9, c.Models.Defaults.QueueSize)
	})
	t.Run("flags and variables are not replaced", func(t *testing.T) {
		t.Parallel()
		s := with(t, "enable_envvars_config=$$ON$$")
		s.env["ON"], s.env["TS_SERVICE_ENVELOPE"] = "true", "$$ON$$"
		assert.Equal(t, "$$ON$$", s.load().Models.Envelope)
	})
}

func TestStores(t *testing.T) {
	t.Parallel()
	t.Run("CFG-041 CFG-042 model store", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.src.Flags.ModelStore = ""
		assert.Equal(t, []string{"Missing mandatory parameter --model-store"}, s.faults())
		s.src.Flags.ModelStore = "gone"
		assert.Equal(t, []string{"--model-store directory not found: gone"}, s.faults())
		s.src.Flags.ModelStore = ""
		s.file("c.properties", "model_store=$$DIR$$")
		s.env["DIR"] = "store"
		s.src.Flags.ConfigFile = "c.properties"
		assert.Equal(t, s.path("store"), s.load().Models.Store, "D-CFG-18")
		s.src.Flags.ConfigFile = ""
		s.properties("model_store=store  ")
		assert.Equal(t, s.path("store"), s.load().Models.Store, "D-CFG-1")
		s.properties("enable_envvars_config=true")
		s.env["TS_MODEL_STORE"] = "store"
		c := s.load()
		assert.Equal(t, s.path("store"), c.Models.Store, "D-CFG-9")
		assert.Equal(t, s.path("store"), c.Models.WorkflowStore)
	})
	t.Run("links are resolved", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		require.NoError(t, os.Symlink("store", s.path("link")))
		s.src.Flags.ModelStore = "link"
		assert.Equal(t, s.path("store"), s.load().Models.Store)
	})
	t.Run("workflow store", func(t *testing.T) {
		t.Parallel()
		s := with(t, "workflow_store=gone")
		assert.Contains(t, texts(s.load()), "workflow_store directory not found: gone", "0.12 started")
		s.src.Flags.WorkflowStore = "gone2"
		assert.Equal(t, []string{"--workflow-store directory not found: gone2"}, s.faults())
	})
	t.Run("temporary directory", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		assert.Equal(t, "/tmp", s.load().Server.TempDir)
		s.env["TEMP"] = "store"
		assert.Equal(t, s.path("store"), s.load().Server.TempDir)
		s.env["TEMP"] = "/x/y"
		assert.Equal(t, []string{"Invalid temp directory: /x/y, please check TEMP environment variable."}, s.faults())
	})
	t.Run("files of flags", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.src.Flags.LogConfig = "l.xml"
		assert.Equal(t, []string{"--log-config file not found: " + s.path("l.xml")}, s.faults())
		s.file("l.xml", "")
		assert.Equal(t, s.path("l.xml"), s.load().Logs.File)
		s.src.Flags.CPPLogConfig = "c.xml"
		assert.Equal(t, []string{"--cpp-log-config file not found: " + s.path("c.xml")}, s.faults())
		s.file("c.xml", "")
		assert.Equal(t, s.path("c.xml"), s.load().Workers.CPPLogConfig)
	})
}

func TestLauncherSettings(t *testing.T) {
	t.Parallel()
	t.Run("CLI-022 vmargs", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		args := "-Xmx4g -XX:+UseG1GC -ea -Djava.io.tmpdir=tmp -Dlog4j.configurationFile=file:///etc/l.xml -DTS_DEBUG=true" +
			" -DLOG_LOCATION=l -Duser.timezone=UTC -Dlog4j2.contextSelector=org.apache.logging.log4j.core.async.AsyncLoggerContextSelector -Dother=1 -javaagent:x.jar"
		s.file("c.properties", "vmargs="+args)
		s.mkdir("tmp")
		s.src.Flags.ConfigFile = "c.properties"
		c := s.load()
		assert.Equal(t, args, c.Source.JVMArgs)
		assert.Equal(t, s.path("tmp"), c.Server.TempDir)
		assert.Equal(t, "/etc/l.xml", c.Logs.File)
		assert.Equal(t, s.path("l"), c.Logs.Dir)
		assert.Equal(t, "UTC", c.Logs.TimeZone.String())
		assert.True(t, c.Logs.Async)
		assert.True(t, c.Workers.Debug)
		assert.Contains(t, texts(c), "Ignored words of vmargs: -Dother=1 -javaagent:x.jar")
		s.env["LOG_LOCATION"] = "e"
		s.file("own.xml", "")
		s.src.Flags.LogConfig = "own.xml"
		c = s.load()
		assert.Equal(t, s.path("e"), c.Logs.Dir)
		assert.Equal(t, s.path("own.xml"), c.Logs.File)
	})
	t.Run("vmargs of a file that nobody named count no more than in 0.12", func(t *testing.T) {
		t.Parallel()
		c := with(t, "vmargs=-DTS_DEBUG=true").load()
		assert.Empty(t, c.Source.JVMArgs)
		assert.False(t, c.Workers.Debug)
	})
	t.Run("CLI-023 interpreter", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		assert.Equal(t, s.path("bin/python3"), s.load().Workers.Python)
		assert.Contains(t, s.load().Banner(config.Host{}), "\nPython executable: "+s.path("bin/python3")+"\n")
		s.src.Executable = s.path("venv/bin/torchserve")
		s.program("venv/bin/python")
		assert.Equal(t, s.path("venv/bin/python"), s.load().Workers.Python, "beside the binary")
		s.program("bin/mine")
		s.properties("python=mine")
		assert.Equal(t, s.path("bin/mine"), s.load().Workers.Python, "the key")
		s.src.Flags.Python = "venv/bin/python"
		assert.Equal(t, s.path("venv/bin/python"), s.load().Workers.Python, "--python")
		s.src.Flags.Python = "python9"
		assert.Equal(t, []string{"Invalid configuration: Python executable not found: python9 (python; --python)"}, s.faults())
		s.src.Flags.Python = ""
		s.properties("python=python9")
		c := s.load()
		assert.Equal(t, s.path("venv/bin/python"), c.Workers.Python, "0.12 never used the key")
		assert.Contains(t, texts(c), "Python executable not found: python9, looking for another")
		s.src.Executable, s.env["PATH"] = "", ""
		assert.Equal(t, []string{"Invalid configuration: Python executable not found: python3 (python; config.properties)"}, s.faults())
	})
	t.Run("home of the Python package", func(t *testing.T) {
		t.Parallel()
		s := with(t, "model_server_home=/nowhere")
		c := s.load()
		assert.Empty(t, c.Workers.Home)
		assert.Contains(t, texts(c), "model_server_home has no effect in a file, set TS_MODEL_SERVER_HOME")
		s.env["TS_MODEL_SERVER_HOME"] = "store"
		assert.Equal(t, s.path("store"), s.load().Workers.Home)
		s.env["TS_MODEL_SERVER_HOME"] = "/nowhere"
		assert.Equal(t, []string{"Invalid configuration: Model server home not exist: /nowhere (model_server_home; TS_MODEL_SERVER_HOME)"}, s.faults())
	})
	t.Run("plugins", func(t *testing.T) {
		t.Parallel()
		s := with(t, "plugins_path=/a:b/*", "native_plugins=sagemaker-ping, model-ready")
		s.src.Flags.PluginsPath = "c"
		assert.Equal(t, config.Plugins{
			Paths: []string{"/a", s.path("b/*"), s.path("c")}, Native: []string{"sagemaker-ping", "model-ready"}, MaxTransforms: 1,
		}, s.load().Server.Plugins)
	})
}
