package store

import (
	"slices"
	"strings"
)

// databases are the kinds that a URL may be meant for, by its scheme without the driver that SQLAlchemy writes behind it.
var databases = map[string]string{
	"mysql": "MySQL", "mariadb": "MariaDB", "sqlite": "SQLite", "sqlite3": "SQLite", "mssql": "SQL Server", "sqlserver": "SQL Server", "oracle": "Oracle",
	"mongodb": "MongoDB", "influxdb": "InfluxDB", "clickhouse": "ClickHouse", "redis": "Redis", "rediss": "Redis",
	"http": "a web server", "https": "a web server", "file": "a file",
}

// otherDatabase says for what text is the URL if not for a PostgreSQL, "" if it may be for one. It repeats nothing of text
// but what it knows.
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
