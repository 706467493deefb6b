package settings

import (
	"os"
	"strings"
	"testing"
)

type services struct {
	Edge struct {
		Host   string   `name:"sungrow-host" env:"SUNGROW_HOST" help:"x"`
		Port   int      `name:"sungrow-port" env:"SUNGROW_PORT" default:"502" help:"x"`
		Slave  int      `name:"sungrow-slave-id" env:"SUNGROW_SLAVE_ID" default:"1" help:"x"`
		PollS  float64  `name:"poll-interval-s" env:"POLL_INTERVAL_S" default:"5" help:"x"`
		URL    string   `name:"vps-base-url" env:"VPS_BASE_URL" help:"x"`
		Token  Secret   `name:"vps-device-token" env:"VPS_DEVICE_TOKEN" help:"x"`
		File   string   `name:"vps-device-token-file" env:"VPS_DEVICE_TOKEN_FILE" help:"x"`
		Batch  int      `name:"batch-size" env:"BATCH_SIZE" default:"30" help:"x"`
		Raw    bool     `name:"raw" env:"RAW_DEBUG_ENABLED" help:"x"`
		Level  LogLevel `name:"log-level" env:"LOG_LEVEL" default:"info" help:"debug, info, warn or error."`
		Clock  string   `name:"clock" env:"CLOCK_TRUST" default:"auto" enum:"auto,always" help:"x"`
		Health string   `name:"health" env:"HEALTH_PATH" help:"x"`
	} `cmd:"" help:"x"`
	VPS struct {
		Tokens Secret `name:"device-tokens" env:"DEVICE_TOKENS" help:"x"`
		Cert   string `name:"tls-cert-file" env:"TLS_CERT_FILE" help:"x"`
		Bytes  int64  `name:"max-request-bytes" env:"MAX_REQUEST_BYTES" default:"1048576" help:"x"`
	} `cmd:"" name:"vps" help:"x"`
}

// only makes the environment exactly that of the test.
func only(t *testing.T, variables map[string]string) *Line {
	t.Helper()
	for _, line := range os.Environ() {
		name, _, _ := strings.Cut(line, "=")
		t.Setenv(name, "") // so that it is put back
		os.Unsetenv(name)
	}
	for name, value := range variables {
		t.Setenv(name, value)
	}
	return NewLine("test", "", new(services))
}

func TestMisspeltVariableIsSuggested(t *testing.T) {
	for written, meant := range map[string]string{
		"SUNGROW_HSOT": "SUNGROW_HOST", "SUNGROW_HOTS": "SUNGROW_HOST", "SUNGOW_HOST": "SUNGROW_HOST", "SUNGROWHOST": "SUNGROW_HOST",
		"sungrow_host": "SUNGROW_HOST", "SUNGROW-HOST": "SUNGROW_HOST", "SUNGROW_HOST_": "SUNGROW_HOST", "SUNGROW_SLAVEID": "SUNGROW_SLAVE_ID",
		"POLL_INTERVAL": "POLL_INTERVAL_S", "POLL_INTERVALL_S": "POLL_INTERVAL_S", "BATCHSIZE": "BATCH_SIZE", "BATCH_SISE": "BATCH_SIZE",
		"VPS_TOKEN": "VPS_DEVICE_TOKEN", "VPS_URL": "VPS_BASE_URL", "VPS_BASE_ULR": "VPS_BASE_URL", "DEVICE_TOKEN": "DEVICE_TOKENS", "LOGLEVEL": "LOG_LEVEL",
		"export SUNGROW_HOST": "SUNGROW_HOST", "SUNGROW_HOST ": "SUNGROW_HOST",
		"SUNGROW_IP_ADDRESS": "", "SPOOL_DIR": "", "VPS_COLOUR": "",
	} {
		found := only(t, map[string]string{written: "x"}).Misspelt()
		if len(found) != 1 || found[0].Name != written || found[0].Meant != meant {
			t.Errorf("%s: %v, want %s", written, found, meant)
		}
	}
}

func TestVariablesOfOthersAreLeftAlone(t *testing.T) {
	line := only(t, map[string]string{"BATCH_SIZE": "3", "SUNGROW_HOST": "x", "SUNGROW_HSOT": "", "SUNSPOOL_BOOT_ID": "7"})
	for name := range strings.FieldsSeq(`PATH HOME HOSTNAME HOST PORT USER PWD LANG LC_ALL TZ TERM SHELL LOGNAME SHLVL OLDPWD PS1 EDITOR MAIL DISPLAY
		NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID INVOCATION_ID JOURNAL_STREAM STATE_DIRECTORY RUNTIME_DIRECTORY LOGS_DIRECTORY CREDENTIALS_DIRECTORY
		LISTEN_FDS LISTEN_PID MAINPID SYSTEMD_EXEC_PID MEMORY_PRESSURE_WATCH SSL_CERT_FILE SSL_CERT_DIR HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY
		https_proxy no_proxy GODEBUG GOMEMLIMIT GOMAXPROCS GOGC GOTRACEBACK KUBERNETES_SERVICE_HOST KUBERNETES_PORT KUBERNETES_PORT_443_TCP_ADDR
		VPS_SERVICE_HOST VPS_SERVICE_PORT VPS_SERVICE_PORT_HTTPS VPS_PORT VPS_PORT_8000_TCP VPS_PORT_8000_TCP_ADDR VPS_NAME VPS_ENV_DATA_DIR
		COMPOSE_PROJECT_NAME DOCKER_HOST BASE_URL TOKEN LEVEL DEBUG URL DATABASE_PATH DEVICE SYSTEMROOT ProgramData APPDATA TEMP`) {
		t.Setenv(name, "x")
	}
	if found := line.Misspelt(); len(found) > 0 {
		t.Errorf("%v", found)
	}
}

func TestWhatWasWrittenInsteadIsNamed(t *testing.T) {
	only(t, map[string]string{"SUNGROW_HSOT": "192.168.1.7", "VPS_TOKEN": "x", "PATH": "/bin"})
	edge := services{}.Edge
	for name, want := range map[string]string{"SUNGROW_HOST": "SUNGROW_HSOT", "VPS_DEVICE_TOKEN": "VPS_TOKEN", "VPS_BASE_URL": "", "HEALTH_PATH": ""} {
		if got := Instead(name, edge); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestEveryValueOfAWrongTypeIsNamed(t *testing.T) {
	wrong := map[string]string{
		"SUNGROW_PORT": "0502", "SUNGROW_SLAVE_ID": `"1"`, "POLL_INTERVAL_S": "5s", "BATCH_SIZE": "abc", "RAW_DEBUG_ENABLED": "maybe",
		"LOG_LEVEL": "loud", "CLOCK_TRUST": "never", "MAX_REQUEST_BYTES": "1k", // of the other command
	}
	sel, err := only(t, wrong).Parse([]string{"edge"})
	if err != nil {
		t.Errorf("the first of them ends it: %v", err)
	}
	var all strings.Builder
	for _, err := range sel.Unreadable {
		all.WriteString(err.Error() + "\n")
	}
	for name := range wrong {
		if strings.Contains(all.String(), name) == (name == "MAX_REQUEST_BYTES") {
			t.Errorf("%s: %s", name, all.String())
		}
	}
	if !strings.Contains(all.String(), "write SUNGROW_SLAVE_ID=1\n") || !strings.Contains(all.String(), `BATCH_SIZE is "abc": must be a whole number`) {
		t.Error(all.String())
	}
}

func TestReadableValuesAndFlagsAreLeftToTheParser(t *testing.T) {
	line := only(t, map[string]string{"SUNGROW_PORT": "1502", "POLL_INTERVAL_S": "7.5", "RAW_DEBUG_ENABLED": "1", "LOG_LEVEL": " WARNING ", "CLOCK_TRUST": "always", "BATCH_SIZE": "abc"})
	if sel, err := line.Parse([]string{"edge", "--batch-size=7"}); err != nil || len(sel.Unreadable) > 0 {
		t.Error(err, sel.Unreadable)
	}
	if sel, err := line.Parse([]string{"edge", "--no-such-flag"}); err == nil || len(sel.Unreadable) > 0 {
		t.Error(err, sel.Unreadable)
	}
}

func TestTextHasNothingThatNobodySees(t *testing.T) {
	for _, bad := range []string{`"x"`, "'x'", `"x`, "x'", "x\r", "x\n", "\tx", " x", "x ", "“x”", "x\u200b", "x\u00a0", "\ufeffx", "x\x00"} {
		err := CheckText("SETTING", bad, false)
		if err == nil || !strings.HasSuffix(err.Error(), ": write SETTING=x") {
			t.Errorf("%q: %v", bad, err)
		}
		if err := CheckText("SETTING", bad+"hunter2"+bad, true); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q as a secret: %v", bad, err)
		}
	}
	for _, good := range []string{"", "x", "two words", "/run/it's/x", "C:\\x", "ü"} {
		if err := CheckText("SETTING", good, false); err != nil {
			t.Error(err)
		}
	}
}
