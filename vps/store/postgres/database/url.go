package database

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"sunspool/health"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// PlainURL turns the form that SQLAlchemy uses into the one that every other program accepts.
func PlainURL(text string) string {
	if rest, ok := strings.CutPrefix(text, "postgresql+asyncpg://"); ok {
		return "postgresql://" + strings.Replace(rest, "?ssl=", "?sslmode=", 1)
	}
	return text
}

const connectTime = 5 * time.Second

// ParseURL accepts what libpq accepts, and the URL of the Python server.
func ParseURL(text string, callTime time.Duration) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(PlainURL(text))
	if err == nil && config.ConnConfig.Database == "" {
		err = errors.New("it names no database")
	}
	if err != nil {
		return nil, &health.Fault{
			Code: "database_url_invalid", What: "DATABASE_URL cannot be understood", Why: WhyInvalid(PlainURL(text), err), Exit: health.ExitConfig,
			Next: "write it as postgres://user:password@host:5432/database, with % codes for what is special in a URL",
		}
	}
	c := config.ConnConfig
	if c.ConnectTimeout == 0 || c.ConnectTimeout > connectTime {
		c.ConnectTimeout = connectTime
	}
	for name, value := range sessionSettings(callTime) {
		if c.RuntimeParams[name] == "" {
			c.RuntimeParams[name] = value
		}
	}
	config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		RegisterTypes(conn.TypeMap())
		return nil
	}
	config.MaxConnLifetime = 30 * time.Minute
	config.PingTimeout = 2 * time.Second // an idle connection is tried before it is used: it may lead nowhere
	config.MinConns = 1
	return config, nil
}

// WhyInvalid returns what is wrong with a URL, without quoting it. If it cannot be parsed, the wrong part may be the password,
// which the error of the parser quotes.
func WhyInvalid(text string, err error) string {
	if other := otherDatabase(text); other != "" {
		return other
	}
	if parse, ok := errors.AsType[*pgconn.ParseConfigError](err); ok {
		err = parse.Unwrap()
	}
	u, notURL := url.Parse(text)
	if err == nil || notURL != nil || u.Scheme == "" {
		return "it is not a URL"
	}
	if password, _ := u.User.Password(); password != "" && strings.Contains(err.Error(), password) {
		return "one of its parts is wrong"
	}
	return err.Error()
}

// databases are the kinds that a URL may be meant for, by its scheme without the driver that SQLAlchemy writes behind it.
var databases = map[string]string{
	"mysql": "MySQL", "mariadb": "MariaDB", "sqlite": "SQLite", "sqlite3": "SQLite", "mssql": "SQL Server", "sqlserver": "SQL Server", "oracle": "Oracle",
	"mongodb": "MongoDB", "influxdb": "InfluxDB", "clickhouse": "ClickHouse", "redis": "Redis", "rediss": "Redis",
	"http": "a web server", "https": "a web server", "file": "a file",
}

// otherDatabase returns what text is the URL of if it is not one of a PostgreSQL, "" if it may be one. Of text it quotes known
// schemes only.
func otherDatabase(text string) string {
	scheme, _, isURL := strings.Cut(text, "://")
	if !isURL {
		return ""
	}
	scheme, driver, _ := strings.Cut(strings.ToLower(strings.TrimSpace(scheme)), "+")
	kind := databases[scheme]
	switch {
	case scheme == "postgres" || scheme == "postgresql":
		if driver != "" {
			return "it names a driver of Python, which belongs to the original alone"
		}
		return ""
	case slices.Contains([]string{"http", "https", "file"}, scheme):
		return "it is the address of " + kind + ", not of a database"
	case kind != "":
		return "it is for " + kind + ", and the only database that can be used is PostgreSQL; without DATABASE_URL samples are kept in a file of the program's own"
	}
	return "it does not begin with postgres://"
}
