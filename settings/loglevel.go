package settings

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// LogLevel is the setting that says how much is logged. The zero value is info.
type LogLevel struct{ slog.Level }

// UnmarshalText reads debug, info, warn, warning or error, in any case.
func (l *LogLevel) UnmarshalText(text []byte) error {
	name := strings.TrimSpace(string(text))
	if strings.EqualFold(name, "warning") {
		name = "warn"
	}
	if err := l.Level.UnmarshalText([]byte(name)); err != nil {
		return fmt.Errorf("LOG_LEVEL is %q: must be debug, info, warn or error", name)
	}
	return nil
}

// Logger writes JSON lines, for journals and collectors.
func (l LogLevel) Logger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l.Level}))
}
