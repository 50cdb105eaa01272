-- DuckDB: gold/fact_sales
CREATE TABLE IF NOT EXISTS retail."fact_sales" ("sale_line_id" VARCHAR NOT NULL, "sale_id" VARCHAR, "business_date" DATE NOT NULL, "store_id" VARCHAR NOT NULL, "product_id" VARCHAR NOT NULL, "customer_id" VARCHAR, "quantity" DECIMAL(18, 3) NOT NULL, "unit_price" DECIMAL(18, 4) NOT NULL, "gross_value" DECIMAL(18, 4) NOT NULL, "discount_value" DECIMAL(18, 4) NOT NULL, "net_value" DECIMAL(18, 4) NOT NULL, "is_return" BOOLEAN NOT NULL, "extracted_at" TIMESTAMP WITH TIME ZONE NOT NULL);

-- DuckDB: gold/fact_inventory
CREATE TABLE IF NOT EXISTS retail."fact_inventory" ("business_date" DATE NOT NULL, "store_id" VARCHAR NOT NULL, "product_id" VARCHAR NOT NULL, "on_hand_units" DECIMAL(18, 3) NOT NULL, "stock_value" DECIMAL(18, 4), "stock_out_hours" DOUBLE, "extracted_at" TIMESTAMP WITH TIME ZONE NOT NULL);

-- DuckDB: gold/demand_daily
CREATE TABLE IF NOT EXISTS retail."demand_daily" ("business_date" DATE NOT NULL, "store_id" VARCHAR NOT NULL, "product_id" VARCHAR NOT NULL, "sold_units" DOUBLE, "returned_units" DOUBLE, "net_value" DECIMAL(18, 4), "unit_price" DOUBLE, "price_source" VARCHAR, "discount_rate" DOUBLE NOT NULL, "is_promoted" BOOLEAN NOT NULL, "is_open" BOOLEAN NOT NULL, "is_feed_missing" BOOLEAN NOT NULL, "on_hand_units" DOUBLE, "censoring" VARCHAR NOT NULL, "available_rate" DOUBLE, "unconstrained_units" DOUBLE, "unconstrained_sd" DOUBLE);

-- DuckDB: gold/sales_summary
CREATE TABLE IF NOT EXISTS retail."sales_summary" ("business_date" DATE NOT NULL, "store_id" VARCHAR NOT NULL, "department" VARCHAR NOT NULL, "line_count" BIGINT NOT NULL, "basket_count" BIGINT NOT NULL, "sold_units" DOUBLE NOT NULL, "returned_units" DOUBLE NOT NULL, "gross_value" DECIMAL(18, 4) NOT NULL, "discount_value" DECIMAL(18, 4) NOT NULL, "net_value" DECIMAL(18, 4) NOT NULL);

-- DuckDB: gold/dim_date
CREATE TABLE IF NOT EXISTS retail."dim_date" ("date" DATE NOT NULL, "year" INTEGER NOT NULL, "month" INTEGER NOT NULL, "week" INTEGER NOT NULL, "weekday" INTEGER NOT NULL, "day_of_year" INTEGER NOT NULL, "is_weekend" BOOLEAN NOT NULL, "holiday_name" VARCHAR, "event_names" VARCHAR);

-- DuckDB: gold/dim_store
CREATE TABLE IF NOT EXISTS retail."dim_store" ("store_id" VARCHAR NOT NULL, "store_name" VARCHAR NOT NULL, "region" VARCHAR, "store_format" VARCHAR, "opened_date" DATE, "closed_date" DATE, "valid_from" DATE NOT NULL, "valid_to" DATE, "is_current" BOOLEAN NOT NULL, "is_reconstructed" BOOLEAN NOT NULL);

-- DuckDB: gold/dim_product
CREATE TABLE IF NOT EXISTS retail."dim_product" ("product_id" VARCHAR NOT NULL, "product_name" VARCHAR NOT NULL, "department" VARCHAR NOT NULL, "category" VARCHAR NOT NULL, "list_price" DECIMAL(18, 4), "unit_cost" DECIMAL(18, 4), "unit_step" DOUBLE NOT NULL, "introduced_date" DATE, "discontinued_date" DATE, "valid_from" DATE NOT NULL, "valid_to" DATE, "is_current" BOOLEAN NOT NULL, "is_reconstructed" BOOLEAN NOT NULL);

-- DuckDB: gold/dim_supplier
CREATE TABLE IF NOT EXISTS retail."dim_supplier" ("supplier_id" VARCHAR NOT NULL, "supplier_name" VARCHAR NOT NULL, "lead_time_days" INTEGER NOT NULL, "min_order_value" DECIMAL(18, 4), "valid_from" DATE NOT NULL, "valid_to" DATE, "is_current" BOOLEAN NOT NULL, "is_reconstructed" BOOLEAN NOT NULL);

-- DuckDB: gold/dim_customer
CREATE TABLE IF NOT EXISTS retail."dim_customer" ("customer_id" VARCHAR NOT NULL, "customer_segment" VARCHAR, "region" VARCHAR, "joined_date" DATE, "valid_from" DATE NOT NULL, "valid_to" DATE, "is_current" BOOLEAN NOT NULL, "is_reconstructed" BOOLEAN NOT NULL);

-- DuckDB: gold/product_segments
CREATE TABLE IF NOT EXISTS retail."product_segments" ("valid_from" DATE NOT NULL, "store_id" VARCHAR NOT NULL, "product_id" VARCHAR NOT NULL, "abc_class" VARCHAR NOT NULL, "xyz_class" VARCHAR NOT NULL, "demand_class" VARCHAR NOT NULL, "mean_daily_units" DOUBLE NOT NULL, "average_demand_interval_days" DOUBLE, "squared_variation" DOUBLE, "net_value" DECIMAL(18, 4) NOT NULL);

-- DuckDB: forecast/demand_forecast
CREATE TABLE IF NOT EXISTS retail."demand_forecast" ("as_of_date" DATE NOT NULL, "store_id" VARCHAR NOT NULL, "product_id" VARCHAR NOT NULL, "target_date" DATE NOT NULL, "horizon_days" INTEGER NOT NULL, "model_name" VARCHAR NOT NULL, "mean_units" DOUBLE NOT NULL, "p_zero" FLOAT NOT NULL, "q025" FLOAT NOT NULL, "q100" FLOAT NOT NULL, "q250" FLOAT NOT NULL, "q500" FLOAT NOT NULL, "q750" FLOAT NOT NULL, "q900" FLOAT NOT NULL, "q950" FLOAT NOT NULL, "q975" FLOAT NOT NULL, "q990" FLOAT NOT NULL, "q995" FLOAT NOT NULL, "model_version" VARCHAR NOT NULL, "origin" VARCHAR NOT NULL);

-- DuckDB: forecast/forecast_accuracy
CREATE TABLE IF NOT EXISTS retail."forecast_accuracy" ("target_date" DATE NOT NULL, "horizon_bucket" VARCHAR NOT NULL, "segment" VARCHAR NOT NULL, "origin" VARCHAR NOT NULL, "series_days" DOUBLE NOT NULL, "excluded_days" DOUBLE NOT NULL, "actual_units" DOUBLE NOT NULL, "absolute_error_units" DOUBLE NOT NULL, "error_units" DOUBLE NOT NULL, "naive_absolute_error_units" DOUBLE NOT NULL, "wape" DOUBLE, "bias" DOUBLE, "rmsse" DOUBLE, "pinball" DOUBLE, "coverage_q500" DOUBLE, "coverage_q900" DOUBLE, "coverage_q950" DOUBLE, "coverage_q975" DOUBLE, "forecast_value_added" DOUBLE);

-- DuckDB: inventory/replenishment_plan
CREATE TABLE IF NOT EXISTS retail."replenishment_plan" ("as_of_date" DATE NOT NULL, "store_id" VARCHAR NOT NULL, "product_id" VARCHAR NOT NULL, "supplier_id" VARCHAR NOT NULL, "proposal_id" VARCHAR NOT NULL, "order_date" DATE NOT NULL, "expected_delivery_date" DATE NOT NULL, "next_order_date" DATE NOT NULL, "next_delivery_date" DATE NOT NULL, "lead_time_days" INTEGER NOT NULL, "review_period_days" INTEGER NOT NULL, "protection_days" INTEGER NOT NULL, "service_measure" VARCHAR NOT NULL, "service_level" DOUBLE NOT NULL, "target_service_rate" DOUBLE NOT NULL, "predicted_service_rate" DOUBLE NOT NULL, "expected_waste_units" DOUBLE, "on_hand_units" DOUBLE NOT NULL, "on_order_units" DOUBLE NOT NULL, "on_order_counted_units" DOUBLE NOT NULL, "on_order_late_units" DOUBLE NOT NULL, "on_order_beyond_units" DOUBLE NOT NULL, "inventory_position_units" DOUBLE NOT NULL, "demand_mean_units" DOUBLE NOT NULL, "reorder_point_units" DOUBLE NOT NULL, "order_up_to_units" DOUBLE NOT NULL, "safety_stock_units" DOUBLE NOT NULL, "pack_units" DOUBLE NOT NULL, "qty_need_units" DOUBLE NOT NULL, "qty_after_minimum_units" DOUBLE NOT NULL, "qty_after_pack_units" DOUBLE NOT NULL, "qty_after_cap_units" DOUBLE NOT NULL, "qty_after_supplier_minimum_units" DOUBLE NOT NULL, "qty_after_budget_units" DOUBLE, "order_units" DOUBLE NOT NULL, "unit_cost" DECIMAL(18, 4), "order_value" DECIMAL(18, 4), "expected_shortage_units" DOUBLE NOT NULL, "lost_margin_avoided_value" DECIMAL(18, 4) NOT NULL, "reason" VARCHAR NOT NULL, "exception" VARCHAR);

-- DuckDB: inventory/inventory_health
CREATE TABLE IF NOT EXISTS retail."inventory_health" ("as_of_date" DATE NOT NULL, "store_id" VARCHAR NOT NULL, "product_id" VARCHAR NOT NULL, "on_hand_units" DOUBLE NOT NULL, "on_order_units" DOUBLE NOT NULL, "stock_value" DECIMAL(18, 4), "mean_daily_units" DOUBLE NOT NULL, "days_of_cover" DOUBLE, "stock_out_probability" DOUBLE NOT NULL, "expected_lost_units" DOUBLE NOT NULL, "expected_lost_value" DECIMAL(18, 4) NOT NULL, "excess_units" DOUBLE NOT NULL, "excess_value" DECIMAL(18, 4), "expiring_units" DOUBLE, "expiring_value" DECIMAL(18, 4), "days_since_sale" INTEGER, "status" VARCHAR NOT NULL);

-- DuckDB: inventory/transfer_proposals
CREATE TABLE IF NOT EXISTS retail."transfer_proposals" ("as_of_date" DATE NOT NULL, "product_id" VARCHAR NOT NULL, "from_store_id" VARCHAR NOT NULL, "to_store_id" VARCHAR NOT NULL, "transfer_units" DOUBLE NOT NULL, "lost_margin_avoided_value" DECIMAL(18, 4) NOT NULL, "transfer_cost_value" DECIMAL(18, 4) NOT NULL, "net_benefit_value" DECIMAL(18, 4) NOT NULL, "reason" VARCHAR NOT NULL);

-- DuckDB: inventory/policy_replay
CREATE TABLE IF NOT EXISTS retail."policy_replay" ("policy" VARCHAR NOT NULL, "target_service_rate" DOUBLE NOT NULL, "abc_class" VARCHAR NOT NULL, "from_date" DATE NOT NULL, "to_date" DATE NOT NULL, "series_count" BIGINT NOT NULL, "cycle_count" BIGINT NOT NULL, "predicted_service_rate" DOUBLE, "achieved_cycle_rate" DOUBLE NOT NULL, "achieved_fill_rate" DOUBLE NOT NULL, "mean_stock_units" DOUBLE NOT NULL, "mean_stock_value" DECIMAL(18, 4) NOT NULL, "lost_units" DOUBLE NOT NULL, "lost_margin_value" DECIMAL(18, 4) NOT NULL, "wasted_units" DOUBLE, "wasted_value" DECIMAL(18, 4), "order_count" BIGINT NOT NULL, "holding_cost_value" DECIMAL(18, 4) NOT NULL, "ordering_cost_value" DECIMAL(18, 4), "total_cost_value" DECIMAL(18, 4) NOT NULL, "assumptions" VARCHAR);

-- PostgreSQL: gold/fact_sales
CREATE TABLE retail.fact_sales (
	sale_line_id TEXT NOT NULL,
	sale_id TEXT,
	business_date DATE NOT NULL,
	store_id TEXT NOT NULL,
	product_id TEXT NOT NULL,
	customer_id TEXT,
	quantity NUMERIC(18, 3) NOT NULL,
	unit_price NUMERIC(18, 4) NOT NULL,
	gross_value NUMERIC(18, 4) NOT NULL,
	discount_value NUMERIC(18, 4) NOT NULL,
	net_value NUMERIC(18, 4) NOT NULL,
	is_return BOOLEAN NOT NULL,
	extracted_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT pk_fact_sales PRIMARY KEY (business_date, sale_line_id)
);

-- PostgreSQL: gold/fact_inventory
CREATE TABLE retail.fact_inventory (
	business_date DATE NOT NULL,
	store_id TEXT NOT NULL,
	product_id TEXT NOT NULL,
	on_hand_units NUMERIC(18, 3) NOT NULL,
	stock_value NUMERIC(18, 4),
	stock_out_hours DOUBLE PRECISION,
	extracted_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT pk_fact_inventory PRIMARY KEY (business_date, store_id, product_id)
);

-- PostgreSQL: gold/demand_daily
CREATE TABLE retail.demand_daily (
	business_date DATE NOT NULL,
	store_id TEXT NOT NULL,
	product_id TEXT NOT NULL,
	sold_units DOUBLE PRECISION,
	returned_units DOUBLE PRECISION,
	net_value NUMERIC(18, 4),
	unit_price DOUBLE PRECISION,
	price_source TEXT,
	discount_rate DOUBLE PRECISION NOT NULL,
	is_promoted BOOLEAN NOT NULL,
	is_open BOOLEAN NOT NULL,
	is_feed_missing BOOLEAN NOT NULL,
	on_hand_units DOUBLE PRECISION,
	censoring TEXT NOT NULL,
	available_rate DOUBLE PRECISION,
	unconstrained_units DOUBLE PRECISION,
	unconstrained_sd DOUBLE PRECISION,
	CONSTRAINT pk_demand_daily PRIMARY KEY (business_date, store_id, product_id)
);

-- PostgreSQL: gold/sales_summary
CREATE TABLE retail.sales_summary (
	business_date DATE NOT NULL,
	store_id TEXT NOT NULL,
	department TEXT NOT NULL,
	line_count BIGINT NOT NULL,
	basket_count BIGINT NOT NULL,
	sold_units DOUBLE PRECISION NOT NULL,
	returned_units DOUBLE PRECISION NOT NULL,
	gross_value NUMERIC(18, 4) NOT NULL,
	discount_value NUMERIC(18, 4) NOT NULL,
	net_value NUMERIC(18, 4) NOT NULL,
	CONSTRAINT pk_sales_summary PRIMARY KEY (business_date, store_id, department)
);

-- PostgreSQL: gold/dim_date
CREATE TABLE retail.dim_date (
	date DATE NOT NULL,
	year INTEGER NOT NULL,
	month INTEGER NOT NULL,
	week INTEGER NOT NULL,
	weekday INTEGER NOT NULL,
	day_of_year INTEGER NOT NULL,
	is_weekend BOOLEAN NOT NULL,
	holiday_name TEXT,
	event_names TEXT,
	CONSTRAINT pk_dim_date PRIMARY KEY (date)
);

-- PostgreSQL: gold/dim_store
CREATE TABLE retail.dim_store (
	store_id TEXT NOT NULL,
	store_name TEXT NOT NULL,
	region TEXT,
	store_format TEXT,
	opened_date DATE,
	closed_date DATE,
	valid_from DATE NOT NULL,
	valid_to DATE,
	is_current BOOLEAN NOT NULL,
	is_reconstructed BOOLEAN NOT NULL,
	CONSTRAINT pk_dim_store PRIMARY KEY (store_id, valid_from)
);

-- PostgreSQL: gold/dim_product
CREATE TABLE retail.dim_product (
	product_id TEXT NOT NULL,
	product_name TEXT NOT NULL,
	department TEXT NOT NULL,
	category TEXT NOT NULL,
	list_price NUMERIC(18, 4),
	unit_cost NUMERIC(18, 4),
	unit_step DOUBLE PRECISION NOT NULL,
	introduced_date DATE,
	discontinued_date DATE,
	valid_from DATE NOT NULL,
	valid_to DATE,
	is_current BOOLEAN NOT NULL,
	is_reconstructed BOOLEAN NOT NULL,
	CONSTRAINT pk_dim_product PRIMARY KEY (product_id, valid_from)
);

-- PostgreSQL: gold/dim_supplier
CREATE TABLE retail.dim_supplier (
	supplier_id TEXT NOT NULL,
	supplier_name TEXT NOT NULL,
	lead_time_days INTEGER NOT NULL,
	min_order_value NUMERIC(18, 4),
	valid_from DATE NOT NULL,
	valid_to DATE,
	is_current BOOLEAN NOT NULL,
	is_reconstructed BOOLEAN NOT NULL,
	CONSTRAINT pk_dim_supplier PRIMARY KEY (supplier_id, valid_from)
);

-- PostgreSQL: gold/dim_customer
CREATE TABLE retail.dim_customer (
	customer_id TEXT NOT NULL,
	customer_segment TEXT,
	region TEXT,
	joined_date DATE,
	valid_from DATE NOT NULL,
	valid_to DATE,
	is_current BOOLEAN NOT NULL,
	is_reconstructed BOOLEAN NOT NULL,
	CONSTRAINT pk_dim_customer PRIMARY KEY (customer_id, valid_from)
);

-- PostgreSQL: gold/product_segments
CREATE TABLE retail.product_segments (
	valid_from DATE NOT NULL,
	store_id TEXT NOT NULL,
	product_id TEXT NOT NULL,
	abc_class TEXT NOT NULL,
	xyz_class TEXT NOT NULL,
	demand_class TEXT NOT NULL,
	mean_daily_units DOUBLE PRECISION NOT NULL,
	average_demand_interval_days DOUBLE PRECISION,
	squared_variation DOUBLE PRECISION,
	net_value NUMERIC(18, 4) NOT NULL,
	CONSTRAINT pk_product_segments PRIMARY KEY (valid_from, store_id, product_id)
);

-- PostgreSQL: forecast/demand_forecast
CREATE TABLE retail.demand_forecast (
	as_of_date DATE NOT NULL,
	store_id TEXT NOT NULL,
	product_id TEXT NOT NULL,
	target_date DATE NOT NULL,
	horizon_days INTEGER NOT NULL,
	model_name TEXT NOT NULL,
	mean_units DOUBLE PRECISION NOT NULL,
	p_zero REAL NOT NULL,
	q025 REAL NOT NULL,
	q100 REAL NOT NULL,
	q250 REAL NOT NULL,
	q500 REAL NOT NULL,
	q750 REAL NOT NULL,
	q900 REAL NOT NULL,
	q950 REAL NOT NULL,
	q975 REAL NOT NULL,
	q990 REAL NOT NULL,
	q995 REAL NOT NULL,
	model_version TEXT NOT NULL,
	origin TEXT NOT NULL,
	CONSTRAINT pk_demand_forecast PRIMARY KEY (as_of_date, store_id, product_id, target_date)
);

-- PostgreSQL: forecast/forecast_accuracy
CREATE TABLE retail.forecast_accuracy (
	target_date DATE NOT NULL,
	horizon_bucket TEXT NOT NULL,
	segment TEXT NOT NULL,
	origin TEXT NOT NULL,
	series_days DOUBLE PRECISION NOT NULL,
	excluded_days DOUBLE PRECISION NOT NULL,
	actual_units DOUBLE PRECISION NOT NULL,
	absolute_error_units DOUBLE PRECISION NOT NULL,
	error_units DOUBLE PRECISION NOT NULL,
	naive_absolute_error_units DOUBLE PRECISION NOT NULL,
	wape DOUBLE PRECISION,
	bias DOUBLE PRECISION,
	rmsse DOUBLE PRECISION,
	pinball DOUBLE PRECISION,
	coverage_q500 DOUBLE PRECISION,
	coverage_q900 DOUBLE PRECISION,
	coverage_q950 DOUBLE PRECISION,
	coverage_q975 DOUBLE PRECISION,
	forecast_value_added DOUBLE PRECISION,
	CONSTRAINT pk_forecast_accuracy PRIMARY KEY (target_date, horizon_bucket, segment, origin)
);

-- PostgreSQL: inventory/replenishment_plan
CREATE TABLE retail.replenishment_plan (
	as_of_date DATE NOT NULL,
	store_id TEXT NOT NULL,
	product_id TEXT NOT NULL,
	supplier_id TEXT NOT NULL,
	proposal_id TEXT NOT NULL,
	order_date DATE NOT NULL,
	expected_delivery_date DATE NOT NULL,
	next_order_date DATE NOT NULL,
	next_delivery_date DATE NOT NULL,
	lead_time_days INTEGER NOT NULL,
	review_period_days INTEGER NOT NULL,
	protection_days INTEGER NOT NULL,
	service_measure TEXT NOT NULL,
	service_level DOUBLE PRECISION NOT NULL,
	target_service_rate DOUBLE PRECISION NOT NULL,
	predicted_service_rate DOUBLE PRECISION NOT NULL,
	expected_waste_units DOUBLE PRECISION,
	on_hand_units DOUBLE PRECISION NOT NULL,
	on_order_units DOUBLE PRECISION NOT NULL,
	on_order_counted_units DOUBLE PRECISION NOT NULL,
	on_order_late_units DOUBLE PRECISION NOT NULL,
	on_order_beyond_units DOUBLE PRECISION NOT NULL,
	inventory_position_units DOUBLE PRECISION NOT NULL,
	demand_mean_units DOUBLE PRECISION NOT NULL,
	reorder_point_units DOUBLE PRECISION NOT NULL,
	order_up_to_units DOUBLE PRECISION NOT NULL,
	safety_stock_units DOUBLE PRECISION NOT NULL,
	pack_units DOUBLE PRECISION NOT NULL,
	qty_need_units DOUBLE PRECISION NOT NULL,
	qty_after_minimum_units DOUBLE PRECISION NOT NULL,
	qty_after_pack_units DOUBLE PRECISION NOT NULL,
	qty_after_cap_units DOUBLE PRECISION NOT NULL,
	qty_after_supplier_minimum_units DOUBLE PRECISION NOT NULL,
	qty_after_budget_units DOUBLE PRECISION,
	order_units DOUBLE PRECISION NOT NULL,
	unit_cost NUMERIC(18, 4),
	order_value NUMERIC(18, 4),
	expected_shortage_units DOUBLE PRECISION NOT NULL,
	lost_margin_avoided_value NUMERIC(18, 4) NOT NULL,
	reason TEXT NOT NULL,
	exception TEXT,
	CONSTRAINT pk_replenishment_plan PRIMARY KEY (as_of_date, store_id, product_id)
);

-- PostgreSQL: inventory/inventory_health
CREATE TABLE retail.inventory_health (
	as_of_date DATE NOT NULL,
	store_id TEXT NOT NULL,
	product_id TEXT NOT NULL,
	on_hand_units DOUBLE PRECISION NOT NULL,
	on_order_units DOUBLE PRECISION NOT NULL,
	stock_value NUMERIC(18, 4),
	mean_daily_units DOUBLE PRECISION NOT NULL,
	days_of_cover DOUBLE PRECISION,
	stock_out_probability DOUBLE PRECISION NOT NULL,
	expected_lost_units DOUBLE PRECISION NOT NULL,
	expected_lost_value NUMERIC(18, 4) NOT NULL,
	excess_units DOUBLE PRECISION NOT NULL,
	excess_value NUMERIC(18, 4),
	expiring_units DOUBLE PRECISION,
	expiring_value NUMERIC(18, 4),
	days_since_sale INTEGER,
	status TEXT NOT NULL,
	CONSTRAINT pk_inventory_health PRIMARY KEY (as_of_date, store_id, product_id)
);

-- PostgreSQL: inventory/transfer_proposals
CREATE TABLE retail.transfer_proposals (
	as_of_date DATE NOT NULL,
	product_id TEXT NOT NULL,
	from_store_id TEXT NOT NULL,
	to_store_id TEXT NOT NULL,
	transfer_units DOUBLE PRECISION NOT NULL,
	lost_margin_avoided_value NUMERIC(18, 4) NOT NULL,
	transfer_cost_value NUMERIC(18, 4) NOT NULL,
	net_benefit_value NUMERIC(18, 4) NOT NULL,
	reason TEXT NOT NULL,
	CONSTRAINT pk_transfer_proposals PRIMARY KEY (as_of_date, product_id, from_store_id, to_store_id)
);

-- PostgreSQL: inventory/policy_replay
CREATE TABLE retail.policy_replay (
	policy TEXT NOT NULL,
	target_service_rate DOUBLE PRECISION NOT NULL,
	abc_class TEXT NOT NULL,
	from_date DATE NOT NULL,
	to_date DATE NOT NULL,
	series_count BIGINT NOT NULL,
	cycle_count BIGINT NOT NULL,
	predicted_service_rate DOUBLE PRECISION,
	achieved_cycle_rate DOUBLE PRECISION NOT NULL,
	achieved_fill_rate DOUBLE PRECISION NOT NULL,
	mean_stock_units DOUBLE PRECISION NOT NULL,
	mean_stock_value NUMERIC(18, 4) NOT NULL,
	lost_units DOUBLE PRECISION NOT NULL,
	lost_margin_value NUMERIC(18, 4) NOT NULL,
	wasted_units DOUBLE PRECISION,
	wasted_value NUMERIC(18, 4),
	order_count BIGINT NOT NULL,
	holding_cost_value NUMERIC(18, 4) NOT NULL,
	ordering_cost_value NUMERIC(18, 4),
	total_cost_value NUMERIC(18, 4) NOT NULL,
	assumptions TEXT,
	CONSTRAINT pk_policy_replay PRIMARY KEY (policy, target_service_rate, abc_class)
);

-- SQL Server: gold/fact_sales
CREATE TABLE retail.fact_sales (
	sale_line_id NVARCHAR(128) NOT NULL,
	sale_id NVARCHAR(128) NULL,
	business_date DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	customer_id NVARCHAR(128) NULL,
	quantity NUMERIC(18, 3) NOT NULL,
	unit_price NUMERIC(18, 4) NOT NULL,
	gross_value NUMERIC(18, 4) NOT NULL,
	discount_value NUMERIC(18, 4) NOT NULL,
	net_value NUMERIC(18, 4) NOT NULL,
	is_return BIT NOT NULL,
	extracted_at DATETIME2(6) NOT NULL,
	CONSTRAINT pk_fact_sales PRIMARY KEY (business_date, sale_line_id)
);

-- SQL Server: gold/fact_inventory
CREATE TABLE retail.fact_inventory (
	business_date DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	on_hand_units NUMERIC(18, 3) NOT NULL,
	stock_value NUMERIC(18, 4) NULL,
	stock_out_hours DOUBLE PRECISION NULL,
	extracted_at DATETIME2(6) NOT NULL,
	CONSTRAINT pk_fact_inventory PRIMARY KEY (business_date, store_id, product_id)
);

-- SQL Server: gold/demand_daily
CREATE TABLE retail.demand_daily (
	business_date DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	sold_units DOUBLE PRECISION NULL,
	returned_units DOUBLE PRECISION NULL,
	net_value NUMERIC(18, 4) NULL,
	unit_price DOUBLE PRECISION NULL,
	price_source NVARCHAR(256) NULL,
	discount_rate DOUBLE PRECISION NOT NULL,
	is_promoted BIT NOT NULL,
	is_open BIT NOT NULL,
	is_feed_missing BIT NOT NULL,
	on_hand_units DOUBLE PRECISION NULL,
	censoring NVARCHAR(256) NOT NULL,
	available_rate DOUBLE PRECISION NULL,
	unconstrained_units DOUBLE PRECISION NULL,
	unconstrained_sd DOUBLE PRECISION NULL,
	CONSTRAINT pk_demand_daily PRIMARY KEY (business_date, store_id, product_id)
);

-- SQL Server: gold/sales_summary
CREATE TABLE retail.sales_summary (
	business_date DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	department NVARCHAR(128) NOT NULL,
	line_count BIGINT NOT NULL,
	basket_count BIGINT NOT NULL,
	sold_units DOUBLE PRECISION NOT NULL,
	returned_units DOUBLE PRECISION NOT NULL,
	gross_value NUMERIC(18, 4) NOT NULL,
	discount_value NUMERIC(18, 4) NOT NULL,
	net_value NUMERIC(18, 4) NOT NULL,
	CONSTRAINT pk_sales_summary PRIMARY KEY (business_date, store_id, department)
);

-- SQL Server: gold/dim_date
CREATE TABLE retail.dim_date (
	date DATE NOT NULL,
	year INTEGER NOT NULL,
	month INTEGER NOT NULL,
	week INTEGER NOT NULL,
	weekday INTEGER NOT NULL,
	day_of_year INTEGER NOT NULL,
	is_weekend BIT NOT NULL,
	holiday_name NVARCHAR(256) NULL,
	event_names NVARCHAR(4000) NULL,
	CONSTRAINT pk_dim_date PRIMARY KEY (date)
);

-- SQL Server: gold/dim_store
CREATE TABLE retail.dim_store (
	store_id NVARCHAR(128) NOT NULL,
	store_name NVARCHAR(256) NOT NULL,
	region NVARCHAR(256) NULL,
	store_format NVARCHAR(256) NULL,
	opened_date DATE NULL,
	closed_date DATE NULL,
	valid_from DATE NOT NULL,
	valid_to DATE NULL,
	is_current BIT NOT NULL,
	is_reconstructed BIT NOT NULL,
	CONSTRAINT pk_dim_store PRIMARY KEY (store_id, valid_from)
);

-- SQL Server: gold/dim_product
CREATE TABLE retail.dim_product (
	product_id NVARCHAR(128) NOT NULL,
	product_name NVARCHAR(256) NOT NULL,
	department NVARCHAR(256) NOT NULL,
	category NVARCHAR(256) NOT NULL,
	list_price NUMERIC(18, 4) NULL,
	unit_cost NUMERIC(18, 4) NULL,
	unit_step DOUBLE PRECISION NOT NULL,
	introduced_date DATE NULL,
	discontinued_date DATE NULL,
	valid_from DATE NOT NULL,
	valid_to DATE NULL,
	is_current BIT NOT NULL,
	is_reconstructed BIT NOT NULL,
	CONSTRAINT pk_dim_product PRIMARY KEY (product_id, valid_from)
);

-- SQL Server: gold/dim_supplier
CREATE TABLE retail.dim_supplier (
	supplier_id NVARCHAR(128) NOT NULL,
	supplier_name NVARCHAR(256) NOT NULL,
	lead_time_days INTEGER NOT NULL,
	min_order_value NUMERIC(18, 4) NULL,
	valid_from DATE NOT NULL,
	valid_to DATE NULL,
	is_current BIT NOT NULL,
	is_reconstructed BIT NOT NULL,
	CONSTRAINT pk_dim_supplier PRIMARY KEY (supplier_id, valid_from)
);

-- SQL Server: gold/dim_customer
CREATE TABLE retail.dim_customer (
	customer_id NVARCHAR(128) NOT NULL,
	customer_segment NVARCHAR(256) NULL,
	region NVARCHAR(256) NULL,
	joined_date DATE NULL,
	valid_from DATE NOT NULL,
	valid_to DATE NULL,
	is_current BIT NOT NULL,
	is_reconstructed BIT NOT NULL,
	CONSTRAINT pk_dim_customer PRIMARY KEY (customer_id, valid_from)
);

-- SQL Server: gold/product_segments
CREATE TABLE retail.product_segments (
	valid_from DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	abc_class NVARCHAR(256) NOT NULL,
	xyz_class NVARCHAR(256) NOT NULL,
	demand_class NVARCHAR(256) NOT NULL,
	mean_daily_units DOUBLE PRECISION NOT NULL,
	average_demand_interval_days DOUBLE PRECISION NULL,
	squared_variation DOUBLE PRECISION NULL,
	net_value NUMERIC(18, 4) NOT NULL,
	CONSTRAINT pk_product_segments PRIMARY KEY (valid_from, store_id, product_id)
);

-- SQL Server: forecast/demand_forecast
CREATE TABLE retail.demand_forecast (
	as_of_date DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	target_date DATE NOT NULL,
	horizon_days INTEGER NOT NULL,
	model_name NVARCHAR(256) NOT NULL,
	mean_units DOUBLE PRECISION NOT NULL,
	p_zero REAL NOT NULL,
	q025 REAL NOT NULL,
	q100 REAL NOT NULL,
	q250 REAL NOT NULL,
	q500 REAL NOT NULL,
	q750 REAL NOT NULL,
	q900 REAL NOT NULL,
	q950 REAL NOT NULL,
	q975 REAL NOT NULL,
	q990 REAL NOT NULL,
	q995 REAL NOT NULL,
	model_version NVARCHAR(256) NOT NULL,
	origin NVARCHAR(256) NOT NULL,
	CONSTRAINT pk_demand_forecast PRIMARY KEY (as_of_date, store_id, product_id, target_date)
);

-- SQL Server: forecast/forecast_accuracy
CREATE TABLE retail.forecast_accuracy (
	target_date DATE NOT NULL,
	horizon_bucket NVARCHAR(128) NOT NULL,
	segment NVARCHAR(128) NOT NULL,
	origin NVARCHAR(128) NOT NULL,
	series_days DOUBLE PRECISION NOT NULL,
	excluded_days DOUBLE PRECISION NOT NULL,
	actual_units DOUBLE PRECISION NOT NULL,
	absolute_error_units DOUBLE PRECISION NOT NULL,
	error_units DOUBLE PRECISION NOT NULL,
	naive_absolute_error_units DOUBLE PRECISION NOT NULL,
	wape DOUBLE PRECISION NULL,
	bias DOUBLE PRECISION NULL,
	rmsse DOUBLE PRECISION NULL,
	pinball DOUBLE PRECISION NULL,
	coverage_q500 DOUBLE PRECISION NULL,
	coverage_q900 DOUBLE PRECISION NULL,
	coverage_q950 DOUBLE PRECISION NULL,
	coverage_q975 DOUBLE PRECISION NULL,
	forecast_value_added DOUBLE PRECISION NULL,
	CONSTRAINT pk_forecast_accuracy PRIMARY KEY (target_date, horizon_bucket, segment, origin)
);

-- SQL Server: inventory/replenishment_plan
CREATE TABLE retail.replenishment_plan (
	as_of_date DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	supplier_id NVARCHAR(128) NOT NULL,
	proposal_id NVARCHAR(128) NOT NULL,
	order_date DATE NOT NULL,
	expected_delivery_date DATE NOT NULL,
	next_order_date DATE NOT NULL,
	next_delivery_date DATE NOT NULL,
	lead_time_days INTEGER NOT NULL,
	review_period_days INTEGER NOT NULL,
	protection_days INTEGER NOT NULL,
	service_measure NVARCHAR(256) NOT NULL,
	service_level DOUBLE PRECISION NOT NULL,
	target_service_rate DOUBLE PRECISION NOT NULL,
	predicted_service_rate DOUBLE PRECISION NOT NULL,
	expected_waste_units DOUBLE PRECISION NULL,
	on_hand_units DOUBLE PRECISION NOT NULL,
	on_order_units DOUBLE PRECISION NOT NULL,
	on_order_counted_units DOUBLE PRECISION NOT NULL,
	on_order_late_units DOUBLE PRECISION NOT NULL,
	on_order_beyond_units DOUBLE PRECISION NOT NULL,
	inventory_position_units DOUBLE PRECISION NOT NULL,
	demand_mean_units DOUBLE PRECISION NOT NULL,
	reorder_point_units DOUBLE PRECISION NOT NULL,
	order_up_to_units DOUBLE PRECISION NOT NULL,
	safety_stock_units DOUBLE PRECISION NOT NULL,
	pack_units DOUBLE PRECISION NOT NULL,
	qty_need_units DOUBLE PRECISION NOT NULL,
	qty_after_minimum_units DOUBLE PRECISION NOT NULL,
	qty_after_pack_units DOUBLE PRECISION NOT NULL,
	qty_after_cap_units DOUBLE PRECISION NOT NULL,
	qty_after_supplier_minimum_units DOUBLE PRECISION NOT NULL,
	qty_after_budget_units DOUBLE PRECISION NULL,
	order_units DOUBLE PRECISION NOT NULL,
	unit_cost NUMERIC(18, 4) NULL,
	order_value NUMERIC(18, 4) NULL,
	expected_shortage_units DOUBLE PRECISION NOT NULL,
	lost_margin_avoided_value NUMERIC(18, 4) NOT NULL,
	reason NVARCHAR(4000) NOT NULL,
	exception NVARCHAR(4000) NULL,
	CONSTRAINT pk_replenishment_plan PRIMARY KEY (as_of_date, store_id, product_id)
);

-- SQL Server: inventory/inventory_health
CREATE TABLE retail.inventory_health (
	as_of_date DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	on_hand_units DOUBLE PRECISION NOT NULL,
	on_order_units DOUBLE PRECISION NOT NULL,
	stock_value NUMERIC(18, 4) NULL,
	mean_daily_units DOUBLE PRECISION NOT NULL,
	days_of_cover DOUBLE PRECISION NULL,
	stock_out_probability DOUBLE PRECISION NOT NULL,
	expected_lost_units DOUBLE PRECISION NOT NULL,
	expected_lost_value NUMERIC(18, 4) NOT NULL,
	excess_units DOUBLE PRECISION NOT NULL,
	excess_value NUMERIC(18, 4) NULL,
	expiring_units DOUBLE PRECISION NULL,
	expiring_value NUMERIC(18, 4) NULL,
	days_since_sale INTEGER NULL,
	status NVARCHAR(256) NOT NULL,
	CONSTRAINT pk_inventory_health PRIMARY KEY (as_of_date, store_id, product_id)
);

-- SQL Server: inventory/transfer_proposals
CREATE TABLE retail.transfer_proposals (
	as_of_date DATE NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	from_store_id NVARCHAR(128) NOT NULL,
	to_store_id NVARCHAR(128) NOT NULL,
	transfer_units DOUBLE PRECISION NOT NULL,
	lost_margin_avoided_value NUMERIC(18, 4) NOT NULL,
	transfer_cost_value NUMERIC(18, 4) NOT NULL,
	net_benefit_value NUMERIC(18, 4) NOT NULL,
	reason NVARCHAR(4000) NOT NULL,
	CONSTRAINT pk_transfer_proposals PRIMARY KEY (as_of_date, product_id, from_store_id, to_store_id)
);

-- SQL Server: inventory/policy_replay
CREATE TABLE retail.policy_replay (
	policy NVARCHAR(128) NOT NULL,
	target_service_rate DOUBLE PRECISION NOT NULL,
	abc_class NVARCHAR(128) NOT NULL,
	from_date DATE NOT NULL,
	to_date DATE NOT NULL,
	series_count BIGINT NOT NULL,
	cycle_count BIGINT NOT NULL,
	predicted_service_rate DOUBLE PRECISION NULL,
	achieved_cycle_rate DOUBLE PRECISION NOT NULL,
	achieved_fill_rate DOUBLE PRECISION NOT NULL,
	mean_stock_units DOUBLE PRECISION NOT NULL,
	mean_stock_value NUMERIC(18, 4) NOT NULL,
	lost_units DOUBLE PRECISION NOT NULL,
	lost_margin_value NUMERIC(18, 4) NOT NULL,
	wasted_units DOUBLE PRECISION NULL,
	wasted_value NUMERIC(18, 4) NULL,
	order_count BIGINT NOT NULL,
	holding_cost_value NUMERIC(18, 4) NOT NULL,
	ordering_cost_value NUMERIC(18, 4) NULL,
	total_cost_value NUMERIC(18, 4) NOT NULL,
	assumptions NVARCHAR(4000) NULL,
	CONSTRAINT pk_policy_replay PRIMARY KEY (policy, target_service_rate, abc_class)
);

-- Synapse dedicated: gold/fact_sales
CREATE TABLE retail.fact_sales (
	sale_line_id NVARCHAR(128) NOT NULL,
	sale_id NVARCHAR(128) NULL,
	business_date DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	customer_id NVARCHAR(128) NULL,
	quantity NUMERIC(18, 3) NOT NULL,
	unit_price NUMERIC(18, 4) NOT NULL,
	gross_value NUMERIC(18, 4) NOT NULL,
	discount_value NUMERIC(18, 4) NOT NULL,
	net_value NUMERIC(18, 4) NOT NULL,
	is_return BIT NOT NULL,
	extracted_at DATETIME2(6) NOT NULL
)
WITH (CLUSTERED COLUMNSTORE INDEX, DISTRIBUTION = HASH([product_id]));
CREATE TABLE retail.staging_fact_sales (
	sale_line_id NVARCHAR(128) NOT NULL,
	sale_id NVARCHAR(128) NULL,
	business_date DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	customer_id NVARCHAR(128) NULL,
	quantity NUMERIC(18, 3) NOT NULL,
	unit_price NUMERIC(18, 4) NOT NULL,
	gross_value NUMERIC(18, 4) NOT NULL,
	discount_value NUMERIC(18, 4) NOT NULL,
	net_value NUMERIC(18, 4) NOT NULL,
	is_return BIT NOT NULL,
	extracted_at DATETIME2(6) NOT NULL
)
WITH (HEAP, DISTRIBUTION = ROUND_ROBIN);
COPY INTO [retail].[staging_fact_sales] FROM 'https://acme.dfs.core.windows.net/lake/retail/staging/fact_sales/*.parquet' WITH (FILE_TYPE = 'PARQUET', CREDENTIAL = (IDENTITY = 'Managed Identity'), MAXERRORS = 0);

-- Synapse dedicated: gold/fact_inventory
CREATE TABLE retail.fact_inventory (
	business_date DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	on_hand_units NUMERIC(18, 3) NOT NULL,
	stock_value NUMERIC(18, 4) NULL,
	stock_out_hours DOUBLE PRECISION NULL,
	extracted_at DATETIME2(6) NOT NULL
)
WITH (CLUSTERED COLUMNSTORE INDEX, DISTRIBUTION = HASH([product_id]));
CREATE TABLE retail.staging_fact_inventory (
	business_date DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	on_hand_units NUMERIC(18, 3) NOT NULL,
	stock_value NUMERIC(18, 4) NULL,
	stock_out_hours DOUBLE PRECISION NULL,
	extracted_at DATETIME2(6) NOT NULL
)
WITH (HEAP, DISTRIBUTION = ROUND_ROBIN);
COPY INTO [retail].[staging_fact_inventory] FROM 'https://acme.dfs.core.windows.net/lake/retail/staging/fact_inventory/*.parquet' WITH (FILE_TYPE = 'PARQUET', CREDENTIAL = (IDENTITY = 'Managed Identity'), MAXERRORS = 0);

-- Synapse dedicated: gold/demand_daily
CREATE TABLE retail.demand_daily (
	business_date DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	sold_units DOUBLE PRECISION NULL,
	returned_units DOUBLE PRECISION NULL,
	net_value NUMERIC(18, 4) NULL,
	unit_price DOUBLE PRECISION NULL,
	price_source NVARCHAR(256) NULL,
	discount_rate DOUBLE PRECISION NOT NULL,
	is_promoted BIT NOT NULL,
	is_open BIT NOT NULL,
	is_feed_missing BIT NOT NULL,
	on_hand_units DOUBLE PRECISION NULL,
	censoring NVARCHAR(256) NOT NULL,
	available_rate DOUBLE PRECISION NULL,
	unconstrained_units DOUBLE PRECISION NULL,
	unconstrained_sd DOUBLE PRECISION NULL
)
WITH (CLUSTERED COLUMNSTORE INDEX, DISTRIBUTION = HASH([product_id]));
CREATE TABLE retail.staging_demand_daily (
	business_date DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	sold_units DOUBLE PRECISION NULL,
	returned_units DOUBLE PRECISION NULL,
	net_value NUMERIC(18, 4) NULL,
	unit_price DOUBLE PRECISION NULL,
	price_source NVARCHAR(256) NULL,
	discount_rate DOUBLE PRECISION NOT NULL,
	is_promoted BIT NOT NULL,
	is_open BIT NOT NULL,
	is_feed_missing BIT NOT NULL,
	on_hand_units DOUBLE PRECISION NULL,
	censoring NVARCHAR(256) NOT NULL,
	available_rate DOUBLE PRECISION NULL,
	unconstrained_units DOUBLE PRECISION NULL,
	unconstrained_sd DOUBLE PRECISION NULL
)
WITH (HEAP, DISTRIBUTION = ROUND_ROBIN);
COPY INTO [retail].[staging_demand_daily] FROM 'https://acme.dfs.core.windows.net/lake/retail/staging/demand_daily/*.parquet' WITH (FILE_TYPE = 'PARQUET', CREDENTIAL = (IDENTITY = 'Managed Identity'), MAXERRORS = 0);

-- Synapse dedicated: gold/sales_summary
CREATE TABLE retail.sales_summary (
	business_date DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	department NVARCHAR(128) NOT NULL,
	line_count BIGINT NOT NULL,
	basket_count BIGINT NOT NULL,
	sold_units DOUBLE PRECISION NOT NULL,
	returned_units DOUBLE PRECISION NOT NULL,
	gross_value NUMERIC(18, 4) NOT NULL,
	discount_value NUMERIC(18, 4) NOT NULL,
	net_value NUMERIC(18, 4) NOT NULL
)
WITH (CLUSTERED COLUMNSTORE INDEX, DISTRIBUTION = ROUND_ROBIN);
CREATE TABLE retail.staging_sales_summary (
	business_date DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	department NVARCHAR(128) NOT NULL,
	line_count BIGINT NOT NULL,
	basket_count BIGINT NOT NULL,
	sold_units DOUBLE PRECISION NOT NULL,
	returned_units DOUBLE PRECISION NOT NULL,
	gross_value NUMERIC(18, 4) NOT NULL,
	discount_value NUMERIC(18, 4) NOT NULL,
	net_value NUMERIC(18, 4) NOT NULL
)
WITH (HEAP, DISTRIBUTION = ROUND_ROBIN);
COPY INTO [retail].[staging_sales_summary] FROM 'https://acme.dfs.core.windows.net/lake/retail/staging/sales_summary/*.parquet' WITH (FILE_TYPE = 'PARQUET', CREDENTIAL = (IDENTITY = 'Managed Identity'), MAXERRORS = 0);

-- Synapse dedicated: gold/dim_date
CREATE TABLE retail.dim_date (
	date DATE NOT NULL,
	year INTEGER NOT NULL,
	month INTEGER NOT NULL,
	week INTEGER NOT NULL,
	weekday INTEGER NOT NULL,
	day_of_year INTEGER NOT NULL,
	is_weekend BIT NOT NULL,
	holiday_name NVARCHAR(256) NULL,
	event_names NVARCHAR(4000) NULL
)
WITH (CLUSTERED COLUMNSTORE INDEX, DISTRIBUTION = REPLICATE);
CREATE TABLE retail.staging_dim_date (
	date DATE NOT NULL,
	year INTEGER NOT NULL,
	month INTEGER NOT NULL,
	week INTEGER NOT NULL,
	weekday INTEGER NOT NULL,
	day_of_year INTEGER NOT NULL,
	is_weekend BIT NOT NULL,
	holiday_name NVARCHAR(256) NULL,
	event_names NVARCHAR(4000) NULL
)
WITH (HEAP, DISTRIBUTION = ROUND_ROBIN);
COPY INTO [retail].[staging_dim_date] FROM 'https://acme.dfs.core.windows.net/lake/retail/staging/dim_date/*.parquet' WITH (FILE_TYPE = 'PARQUET', CREDENTIAL = (IDENTITY = 'Managed Identity'), MAXERRORS = 0);

-- Synapse dedicated: gold/dim_store
CREATE TABLE retail.dim_store (
	store_id NVARCHAR(128) NOT NULL,
	store_name NVARCHAR(256) NOT NULL,
	region NVARCHAR(256) NULL,
	store_format NVARCHAR(256) NULL,
	opened_date DATE NULL,
	closed_date DATE NULL,
	valid_from DATE NOT NULL,
	valid_to DATE NULL,
	is_current BIT NOT NULL,
	is_reconstructed BIT NOT NULL
)
WITH (CLUSTERED COLUMNSTORE INDEX, DISTRIBUTION = REPLICATE);
CREATE TABLE retail.staging_dim_store (
	store_id NVARCHAR(128) NOT NULL,
	store_name NVARCHAR(256) NOT NULL,
	region NVARCHAR(256) NULL,
	store_format NVARCHAR(256) NULL,
	opened_date DATE NULL,
	closed_date DATE NULL,
	valid_from DATE NOT NULL,
	valid_to DATE NULL,
	is_current BIT NOT NULL,
	is_reconstructed BIT NOT NULL
)
WITH (HEAP, DISTRIBUTION = ROUND_ROBIN);
COPY INTO [retail].[staging_dim_store] FROM 'https://acme.dfs.core.windows.net/lake/retail/staging/dim_store/*.parquet' WITH (FILE_TYPE = 'PARQUET', CREDENTIAL = (IDENTITY = 'Managed Identity'), MAXERRORS = 0);

-- Synapse dedicated: gold/dim_product
CREATE TABLE retail.dim_product (
	product_id NVARCHAR(128) NOT NULL,
	product_name NVARCHAR(256) NOT NULL,
	department NVARCHAR(256) NOT NULL,
	category NVARCHAR(256) NOT NULL,
	list_price NUMERIC(18, 4) NULL,
	unit_cost NUMERIC(18, 4) NULL,
	unit_step DOUBLE PRECISION NOT NULL,
	introduced_date DATE NULL,
	discontinued_date DATE NULL,
	valid_from DATE NOT NULL,
	valid_to DATE NULL,
	is_current BIT NOT NULL,
	is_reconstructed BIT NOT NULL
)
WITH (CLUSTERED COLUMNSTORE INDEX, DISTRIBUTION = REPLICATE);
CREATE TABLE retail.staging_dim_product (
	product_id NVARCHAR(128) NOT NULL,
	product_name NVARCHAR(256) NOT NULL,
	department NVARCHAR(256) NOT NULL,
	category NVARCHAR(256) NOT NULL,
	list_price NUMERIC(18, 4) NULL,
	unit_cost NUMERIC(18, 4) NULL,
	unit_step DOUBLE PRECISION NOT NULL,
	introduced_date DATE NULL,
	discontinued_date DATE NULL,
	valid_from DATE NOT NULL,
	valid_to DATE NULL,
	is_current BIT NOT NULL,
	is_reconstructed BIT NOT NULL
)
WITH (HEAP, DISTRIBUTION = ROUND_ROBIN);
COPY INTO [retail].[staging_dim_product] FROM 'https://acme.dfs.core.windows.net/lake/retail/staging/dim_product/*.parquet' WITH (FILE_TYPE = 'PARQUET', CREDENTIAL = (IDENTITY = 'Managed Identity'), MAXERRORS = 0);

-- Synapse dedicated: gold/dim_supplier
CREATE TABLE retail.dim_supplier (
	supplier_id NVARCHAR(128) NOT NULL,
	supplier_name NVARCHAR(256) NOT NULL,
	lead_time_days INTEGER NOT NULL,
	min_order_value NUMERIC(18, 4) NULL,
	valid_from DATE NOT NULL,
	valid_to DATE NULL,
	is_current BIT NOT NULL,
	is_reconstructed BIT NOT NULL
)
WITH (CLUSTERED COLUMNSTORE INDEX, DISTRIBUTION = REPLICATE);
CREATE TABLE retail.staging_dim_supplier (
	supplier_id NVARCHAR(128) NOT NULL,
	supplier_name NVARCHAR(256) NOT NULL,
	lead_time_days INTEGER NOT NULL,
	min_order_value NUMERIC(18, 4) NULL,
	valid_from DATE NOT NULL,
	valid_to DATE NULL,
	is_current BIT NOT NULL,
	is_reconstructed BIT NOT NULL
)
WITH (HEAP, DISTRIBUTION = ROUND_ROBIN);
COPY INTO [retail].[staging_dim_supplier] FROM 'https://acme.dfs.core.windows.net/lake/retail/staging/dim_supplier/*.parquet' WITH (FILE_TYPE = 'PARQUET', CREDENTIAL = (IDENTITY = 'Managed Identity'), MAXERRORS = 0);

-- Synapse dedicated: gold/dim_customer
CREATE TABLE retail.dim_customer (
	customer_id NVARCHAR(128) NOT NULL,
	customer_segment NVARCHAR(256) NULL,
	region NVARCHAR(256) NULL,
	joined_date DATE NULL,
	valid_from DATE NOT NULL,
	valid_to DATE NULL,
	is_current BIT NOT NULL,
	is_reconstructed BIT NOT NULL
)
WITH (CLUSTERED COLUMNSTORE INDEX, DISTRIBUTION = REPLICATE);
CREATE TABLE retail.staging_dim_customer (
	customer_id NVARCHAR(128) NOT NULL,
	customer_segment NVARCHAR(256) NULL,
	region NVARCHAR(256) NULL,
	joined_date DATE NULL,
	valid_from DATE NOT NULL,
	valid_to DATE NULL,
	is_current BIT NOT NULL,
	is_reconstructed BIT NOT NULL
)
WITH (HEAP, DISTRIBUTION = ROUND_ROBIN);
COPY INTO [retail].[staging_dim_customer] FROM 'https://acme.dfs.core.windows.net/lake/retail/staging/dim_customer/*.parquet' WITH (FILE_TYPE = 'PARQUET', CREDENTIAL = (IDENTITY = 'Managed Identity'), MAXERRORS = 0);

-- Synapse dedicated: gold/product_segments
CREATE TABLE retail.product_segments (
	valid_from DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	abc_class NVARCHAR(256) NOT NULL,
	xyz_class NVARCHAR(256) NOT NULL,
	demand_class NVARCHAR(256) NOT NULL,
	mean_daily_units DOUBLE PRECISION NOT NULL,
	average_demand_interval_days DOUBLE PRECISION NULL,
	squared_variation DOUBLE PRECISION NULL,
	net_value NUMERIC(18, 4) NOT NULL
)
WITH (CLUSTERED COLUMNSTORE INDEX, DISTRIBUTION = HASH([product_id]));
CREATE TABLE retail.staging_product_segments (
	valid_from DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	abc_class NVARCHAR(256) NOT NULL,
	xyz_class NVARCHAR(256) NOT NULL,
	demand_class NVARCHAR(256) NOT NULL,
	mean_daily_units DOUBLE PRECISION NOT NULL,
	average_demand_interval_days DOUBLE PRECISION NULL,
	squared_variation DOUBLE PRECISION NULL,
	net_value NUMERIC(18, 4) NOT NULL
)
WITH (HEAP, DISTRIBUTION = ROUND_ROBIN);
COPY INTO [retail].[staging_product_segments] FROM 'https://acme.dfs.core.windows.net/lake/retail/staging/product_segments/*.parquet' WITH (FILE_TYPE = 'PARQUET', CREDENTIAL = (IDENTITY = 'Managed Identity'), MAXERRORS = 0);

-- Synapse dedicated: forecast/demand_forecast
CREATE TABLE retail.demand_forecast (
	as_of_date DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	target_date DATE NOT NULL,
	horizon_days INTEGER NOT NULL,
	model_name NVARCHAR(256) NOT NULL,
	mean_units DOUBLE PRECISION NOT NULL,
	p_zero REAL NOT NULL,
	q025 REAL NOT NULL,
	q100 REAL NOT NULL,
	q250 REAL NOT NULL,
	q500 REAL NOT NULL,
	q750 REAL NOT NULL,
	q900 REAL NOT NULL,
	q950 REAL NOT NULL,
	q975 REAL NOT NULL,
	q990 REAL NOT NULL,
	q995 REAL NOT NULL,
	model_version NVARCHAR(256) NOT NULL,
	origin NVARCHAR(256) NOT NULL
)
WITH (CLUSTERED COLUMNSTORE INDEX, DISTRIBUTION = HASH([product_id]));
CREATE TABLE retail.staging_demand_forecast (
	as_of_date DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	target_date DATE NOT NULL,
	horizon_days INTEGER NOT NULL,
	model_name NVARCHAR(256) NOT NULL,
	mean_units DOUBLE PRECISION NOT NULL,
	p_zero REAL NOT NULL,
	q025 REAL NOT NULL,
	q100 REAL NOT NULL,
	q250 REAL NOT NULL,
	q500 REAL NOT NULL,
	q750 REAL NOT NULL,
	q900 REAL NOT NULL,
	q950 REAL NOT NULL,
	q975 REAL NOT NULL,
	q990 REAL NOT NULL,
	q995 REAL NOT NULL,
	model_version NVARCHAR(256) NOT NULL,
	origin NVARCHAR(256) NOT NULL
)
WITH (HEAP, DISTRIBUTION = ROUND_ROBIN);
COPY INTO [retail].[staging_demand_forecast] FROM 'https://acme.dfs.core.windows.net/lake/retail/staging/demand_forecast/*.parquet' WITH (FILE_TYPE = 'PARQUET', CREDENTIAL = (IDENTITY = 'Managed Identity'), MAXERRORS = 0);

-- Synapse dedicated: forecast/forecast_accuracy
CREATE TABLE retail.forecast_accuracy (
	target_date DATE NOT NULL,
	horizon_bucket NVARCHAR(128) NOT NULL,
	segment NVARCHAR(128) NOT NULL,
	origin NVARCHAR(128) NOT NULL,
	series_days DOUBLE PRECISION NOT NULL,
	excluded_days DOUBLE PRECISION NOT NULL,
	actual_units DOUBLE PRECISION NOT NULL,
	absolute_error_units DOUBLE PRECISION NOT NULL,
	error_units DOUBLE PRECISION NOT NULL,
	naive_absolute_error_units DOUBLE PRECISION NOT NULL,
	wape DOUBLE PRECISION NULL,
	bias DOUBLE PRECISION NULL,
	rmsse DOUBLE PRECISION NULL,
	pinball DOUBLE PRECISION NULL,
	coverage_q500 DOUBLE PRECISION NULL,
	coverage_q900 DOUBLE PRECISION NULL,
	coverage_q950 DOUBLE PRECISION NULL,
	coverage_q975 DOUBLE PRECISION NULL,
	forecast_value_added DOUBLE PRECISION NULL
)
WITH (CLUSTERED COLUMNSTORE INDEX, DISTRIBUTION = ROUND_ROBIN);
CREATE TABLE retail.staging_forecast_accuracy (
	target_date DATE NOT NULL,
	horizon_bucket NVARCHAR(128) NOT NULL,
	segment NVARCHAR(128) NOT NULL,
	origin NVARCHAR(128) NOT NULL,
	series_days DOUBLE PRECISION NOT NULL,
	excluded_days DOUBLE PRECISION NOT NULL,
	actual_units DOUBLE PRECISION NOT NULL,
	absolute_error_units DOUBLE PRECISION NOT NULL,
	error_units DOUBLE PRECISION NOT NULL,
	naive_absolute_error_units DOUBLE PRECISION NOT NULL,
	wape DOUBLE PRECISION NULL,
	bias DOUBLE PRECISION NULL,
	rmsse DOUBLE PRECISION NULL,
	pinball DOUBLE PRECISION NULL,
	coverage_q500 DOUBLE PRECISION NULL,
	coverage_q900 DOUBLE PRECISION NULL,
	coverage_q950 DOUBLE PRECISION NULL,
	coverage_q975 DOUBLE PRECISION NULL,
	forecast_value_added DOUBLE PRECISION NULL
)
WITH (HEAP, DISTRIBUTION = ROUND_ROBIN);
COPY INTO [retail].[staging_forecast_accuracy] FROM 'https://acme.dfs.core.windows.net/lake/retail/staging/forecast_accuracy/*.parquet' WITH (FILE_TYPE = 'PARQUET', CREDENTIAL = (IDENTITY = 'Managed Identity'), MAXERRORS = 0);

-- Synapse dedicated: inventory/replenishment_plan
CREATE TABLE retail.replenishment_plan (
	as_of_date DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	supplier_id NVARCHAR(128) NOT NULL,
	proposal_id NVARCHAR(128) NOT NULL,
	order_date DATE NOT NULL,
	expected_delivery_date DATE NOT NULL,
	next_order_date DATE NOT NULL,
	next_delivery_date DATE NOT NULL,
	lead_time_days INTEGER NOT NULL,
	review_period_days INTEGER NOT NULL,
	protection_days INTEGER NOT NULL,
	service_measure NVARCHAR(256) NOT NULL,
	service_level DOUBLE PRECISION NOT NULL,
	target_service_rate DOUBLE PRECISION NOT NULL,
	predicted_service_rate DOUBLE PRECISION NOT NULL,
	expected_waste_units DOUBLE PRECISION NULL,
	on_hand_units DOUBLE PRECISION NOT NULL,
	on_order_units DOUBLE PRECISION NOT NULL,
	on_order_counted_units DOUBLE PRECISION NOT NULL,
	on_order_late_units DOUBLE PRECISION NOT NULL,
	on_order_beyond_units DOUBLE PRECISION NOT NULL,
	inventory_position_units DOUBLE PRECISION NOT NULL,
	demand_mean_units DOUBLE PRECISION NOT NULL,
	reorder_point_units DOUBLE PRECISION NOT NULL,
	order_up_to_units DOUBLE PRECISION NOT NULL,
	safety_stock_units DOUBLE PRECISION NOT NULL,
	pack_units DOUBLE PRECISION NOT NULL,
	qty_need_units DOUBLE PRECISION NOT NULL,
	qty_after_minimum_units DOUBLE PRECISION NOT NULL,
	qty_after_pack_units DOUBLE PRECISION NOT NULL,
	qty_after_cap_units DOUBLE PRECISION NOT NULL,
	qty_after_supplier_minimum_units DOUBLE PRECISION NOT NULL,
	qty_after_budget_units DOUBLE PRECISION NULL,
	order_units DOUBLE PRECISION NOT NULL,
	unit_cost NUMERIC(18, 4) NULL,
	order_value NUMERIC(18, 4) NULL,
	expected_shortage_units DOUBLE PRECISION NOT NULL,
	lost_margin_avoided_value NUMERIC(18, 4) NOT NULL,
	reason NVARCHAR(4000) NOT NULL,
	exception NVARCHAR(4000) NULL
)
WITH (CLUSTERED COLUMNSTORE INDEX, DISTRIBUTION = HASH([product_id]));
CREATE TABLE retail.staging_replenishment_plan (
	as_of_date DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	supplier_id NVARCHAR(128) NOT NULL,
	proposal_id NVARCHAR(128) NOT NULL,
	order_date DATE NOT NULL,
	expected_delivery_date DATE NOT NULL,
	next_order_date DATE NOT NULL,
	next_delivery_date DATE NOT NULL,
	lead_time_days INTEGER NOT NULL,
	review_period_days INTEGER NOT NULL,
	protection_days INTEGER NOT NULL,
	service_measure NVARCHAR(256) NOT NULL,
	service_level DOUBLE PRECISION NOT NULL,
	target_service_rate DOUBLE PRECISION NOT NULL,
	predicted_service_rate DOUBLE PRECISION NOT NULL,
	expected_waste_units DOUBLE PRECISION NULL,
	on_hand_units DOUBLE PRECISION NOT NULL,
	on_order_units DOUBLE PRECISION NOT NULL,
	on_order_counted_units DOUBLE PRECISION NOT NULL,
	on_order_late_units DOUBLE PRECISION NOT NULL,
	on_order_beyond_units DOUBLE PRECISION NOT NULL,
	inventory_position_units DOUBLE PRECISION NOT NULL,
	demand_mean_units DOUBLE PRECISION NOT NULL,
	reorder_point_units DOUBLE PRECISION NOT NULL,
	order_up_to_units DOUBLE PRECISION NOT NULL,
	safety_stock_units DOUBLE PRECISION NOT NULL,
	pack_units DOUBLE PRECISION NOT NULL,
	qty_need_units DOUBLE PRECISION NOT NULL,
	qty_after_minimum_units DOUBLE PRECISION NOT NULL,
	qty_after_pack_units DOUBLE PRECISION NOT NULL,
	qty_after_cap_units DOUBLE PRECISION NOT NULL,
	qty_after_supplier_minimum_units DOUBLE PRECISION NOT NULL,
	qty_after_budget_units DOUBLE PRECISION NULL,
	order_units DOUBLE PRECISION NOT NULL,
	unit_cost NUMERIC(18, 4) NULL,
	order_value NUMERIC(18, 4) NULL,
	expected_shortage_units DOUBLE PRECISION NOT NULL,
	lost_margin_avoided_value NUMERIC(18, 4) NOT NULL,
	reason NVARCHAR(4000) NOT NULL,
	exception NVARCHAR(4000) NULL
)
WITH (HEAP, DISTRIBUTION = ROUND_ROBIN);
COPY INTO [retail].[staging_replenishment_plan] FROM 'https://acme.dfs.core.windows.net/lake/retail/staging/replenishment_plan/*.parquet' WITH (FILE_TYPE = 'PARQUET', CREDENTIAL = (IDENTITY = 'Managed Identity'), MAXERRORS = 0);

-- Synapse dedicated: inventory/inventory_health
CREATE TABLE retail.inventory_health (
	as_of_date DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	on_hand_units DOUBLE PRECISION NOT NULL,
	on_order_units DOUBLE PRECISION NOT NULL,
	stock_value NUMERIC(18, 4) NULL,
	mean_daily_units DOUBLE PRECISION NOT NULL,
	days_of_cover DOUBLE PRECISION NULL,
	stock_out_probability DOUBLE PRECISION NOT NULL,
	expected_lost_units DOUBLE PRECISION NOT NULL,
	expected_lost_value NUMERIC(18, 4) NOT NULL,
	excess_units DOUBLE PRECISION NOT NULL,
	excess_value NUMERIC(18, 4) NULL,
	expiring_units DOUBLE PRECISION NULL,
	expiring_value NUMERIC(18, 4) NULL,
	days_since_sale INTEGER NULL,
	status NVARCHAR(256) NOT NULL
)
WITH (CLUSTERED COLUMNSTORE INDEX, DISTRIBUTION = HASH([product_id]));
CREATE TABLE retail.staging_inventory_health (
	as_of_date DATE NOT NULL,
	store_id NVARCHAR(128) NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	on_hand_units DOUBLE PRECISION NOT NULL,
	on_order_units DOUBLE PRECISION NOT NULL,
	stock_value NUMERIC(18, 4) NULL,
	mean_daily_units DOUBLE PRECISION NOT NULL,
	days_of_cover DOUBLE PRECISION NULL,
	stock_out_probability DOUBLE PRECISION NOT NULL,
	expected_lost_units DOUBLE PRECISION NOT NULL,
	expected_lost_value NUMERIC(18, 4) NOT NULL,
	excess_units DOUBLE PRECISION NOT NULL,
	excess_value NUMERIC(18, 4) NULL,
	expiring_units DOUBLE PRECISION NULL,
	expiring_value NUMERIC(18, 4) NULL,
	days_since_sale INTEGER NULL,
	status NVARCHAR(256) NOT NULL
)
WITH (HEAP, DISTRIBUTION = ROUND_ROBIN);
COPY INTO [retail].[staging_inventory_health] FROM 'https://acme.dfs.core.windows.net/lake/retail/staging/inventory_health/*.parquet' WITH (FILE_TYPE = 'PARQUET', CREDENTIAL = (IDENTITY = 'Managed Identity'), MAXERRORS = 0);

-- Synapse dedicated: inventory/transfer_proposals
CREATE TABLE retail.transfer_proposals (
	as_of_date DATE NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	from_store_id NVARCHAR(128) NOT NULL,
	to_store_id NVARCHAR(128) NOT NULL,
	transfer_units DOUBLE PRECISION NOT NULL,
	lost_margin_avoided_value NUMERIC(18, 4) NOT NULL,
	transfer_cost_value NUMERIC(18, 4) NOT NULL,
	net_benefit_value NUMERIC(18, 4) NOT NULL,
	reason NVARCHAR(4000) NOT NULL
)
WITH (CLUSTERED COLUMNSTORE INDEX, DISTRIBUTION = HASH([product_id]));
CREATE TABLE retail.staging_transfer_proposals (
	as_of_date DATE NOT NULL,
	product_id NVARCHAR(128) NOT NULL,
	from_store_id NVARCHAR(128) NOT NULL,
	to_store_id NVARCHAR(128) NOT NULL,
	transfer_units DOUBLE PRECISION NOT NULL,
	lost_margin_avoided_value NUMERIC(18, 4) NOT NULL,
	transfer_cost_value NUMERIC(18, 4) NOT NULL,
	net_benefit_value NUMERIC(18, 4) NOT NULL,
	reason NVARCHAR(4000) NOT NULL
)
WITH (HEAP, DISTRIBUTION = ROUND_ROBIN);
COPY INTO [retail].[staging_transfer_proposals] FROM 'https://acme.dfs.core.windows.net/lake/retail/staging/transfer_proposals/*.parquet' WITH (FILE_TYPE = 'PARQUET', CREDENTIAL = (IDENTITY = 'Managed Identity'), MAXERRORS = 0);

-- Synapse dedicated: inventory/policy_replay
CREATE TABLE retail.policy_replay (
	policy NVARCHAR(128) NOT NULL,
	target_service_rate DOUBLE PRECISION NOT NULL,
	abc_class NVARCHAR(128) NOT NULL,
	from_date DATE NOT NULL,
	to_date DATE NOT NULL,
	series_count BIGINT NOT NULL,
	cycle_count BIGINT NOT NULL,
	predicted_service_rate DOUBLE PRECISION NULL,
	achieved_cycle_rate DOUBLE PRECISION NOT NULL,
	achieved_fill_rate DOUBLE PRECISION NOT NULL,
	mean_stock_units DOUBLE PRECISION NOT NULL,
	mean_stock_value NUMERIC(18, 4) NOT NULL,
	lost_units DOUBLE PRECISION NOT NULL,
	lost_margin_value NUMERIC(18, 4) NOT NULL,
	wasted_units DOUBLE PRECISION NULL,
	wasted_value NUMERIC(18, 4) NULL,
	order_count BIGINT NOT NULL,
	holding_cost_value NUMERIC(18, 4) NOT NULL,
	ordering_cost_value NUMERIC(18, 4) NULL,
	total_cost_value NUMERIC(18, 4) NOT NULL,
	assumptions NVARCHAR(4000) NULL
)
WITH (CLUSTERED COLUMNSTORE INDEX, DISTRIBUTION = REPLICATE);
CREATE TABLE retail.staging_policy_replay (
	policy NVARCHAR(128) NOT NULL,
	target_service_rate DOUBLE PRECISION NOT NULL,
	abc_class NVARCHAR(128) NOT NULL,
	from_date DATE NOT NULL,
	to_date DATE NOT NULL,
	series_count BIGINT NOT NULL,
	cycle_count BIGINT NOT NULL,
	predicted_service_rate DOUBLE PRECISION NULL,
	achieved_cycle_rate DOUBLE PRECISION NOT NULL,
	achieved_fill_rate DOUBLE PRECISION NOT NULL,
	mean_stock_units DOUBLE PRECISION NOT NULL,
	mean_stock_value NUMERIC(18, 4) NOT NULL,
	lost_units DOUBLE PRECISION NOT NULL,
	lost_margin_value NUMERIC(18, 4) NOT NULL,
	wasted_units DOUBLE PRECISION NULL,
	wasted_value NUMERIC(18, 4) NULL,
	order_count BIGINT NOT NULL,
	holding_cost_value NUMERIC(18, 4) NOT NULL,
	ordering_cost_value NUMERIC(18, 4) NULL,
	total_cost_value NUMERIC(18, 4) NOT NULL,
	assumptions NVARCHAR(4000) NULL
)
WITH (HEAP, DISTRIBUTION = ROUND_ROBIN);
COPY INTO [retail].[staging_policy_replay] FROM 'https://acme.dfs.core.windows.net/lake/retail/staging/policy_replay/*.parquet' WITH (FILE_TYPE = 'PARQUET', CREDENTIAL = (IDENTITY = 'Managed Identity'), MAXERRORS = 0);

-- Synapse serverless: gold/fact_sales
CREATE VIEW [retail].[fact_sales] AS SELECT [sale_line_id], [sale_id], [business_date], [store_id], [product_id], [customer_id], [quantity], [unit_price], [gross_value], [discount_value], [net_value], [is_return], [extracted_at] FROM OPENROWSET(BULK 'https://acme.dfs.core.windows.net/lake/retail/gold/fact_sales/', FORMAT = 'DELTA') WITH ([sale_line_id] NVARCHAR(128), [sale_id] NVARCHAR(128), [business_date] DATE, [store_id] NVARCHAR(128), [product_id] NVARCHAR(128), [customer_id] NVARCHAR(128), [quantity] NUMERIC(18, 3), [unit_price] NUMERIC(18, 4), [gross_value] NUMERIC(18, 4), [discount_value] NUMERIC(18, 4), [net_value] NUMERIC(18, 4), [is_return] BIT, [extracted_at] DATETIME2(6)) AS lake_rows;

-- Synapse serverless: gold/fact_inventory
CREATE VIEW [retail].[fact_inventory] AS SELECT [business_date], [store_id], [product_id], [on_hand_units], [stock_value], [stock_out_hours], [extracted_at] FROM OPENROWSET(BULK 'https://acme.dfs.core.windows.net/lake/retail/gold/fact_inventory/', FORMAT = 'DELTA') WITH ([business_date] DATE, [store_id] NVARCHAR(128), [product_id] NVARCHAR(128), [on_hand_units] NUMERIC(18, 3), [stock_value] NUMERIC(18, 4), [stock_out_hours] DOUBLE PRECISION, [extracted_at] DATETIME2(6)) AS lake_rows;

-- Synapse serverless: gold/demand_daily
CREATE VIEW [retail].[demand_daily] AS SELECT [business_date], [store_id], [product_id], [sold_units], [returned_units], [net_value], [unit_price], [price_source], [discount_rate], [is_promoted], [is_open], [is_feed_missing], [on_hand_units], [censoring], [available_rate], [unconstrained_units], [unconstrained_sd] FROM OPENROWSET(BULK 'https://acme.dfs.core.windows.net/lake/retail/gold/demand_daily/', FORMAT = 'DELTA') WITH ([business_date] DATE, [store_id] NVARCHAR(128), [product_id] NVARCHAR(128), [sold_units] DOUBLE PRECISION, [returned_units] DOUBLE PRECISION, [net_value] NUMERIC(18, 4), [unit_price] DOUBLE PRECISION, [price_source] NVARCHAR(256), [discount_rate] DOUBLE PRECISION, [is_promoted] BIT, [is_open] BIT, [is_feed_missing] BIT, [on_hand_units] DOUBLE PRECISION, [censoring] NVARCHAR(256), [available_rate] DOUBLE PRECISION, [unconstrained_units] DOUBLE PRECISION, [unconstrained_sd] DOUBLE PRECISION) AS lake_rows;

-- Synapse serverless: gold/sales_summary
CREATE VIEW [retail].[sales_summary] AS SELECT [business_date], [store_id], [department], [line_count], [basket_count], [sold_units], [returned_units], [gross_value], [discount_value], [net_value] FROM OPENROWSET(BULK 'https://acme.dfs.core.windows.net/lake/retail/gold/sales_summary/', FORMAT = 'DELTA') WITH ([business_date] DATE, [store_id] NVARCHAR(128), [department] NVARCHAR(128), [line_count] BIGINT, [basket_count] BIGINT, [sold_units] DOUBLE PRECISION, [returned_units] DOUBLE PRECISION, [gross_value] NUMERIC(18, 4), [discount_value] NUMERIC(18, 4), [net_value] NUMERIC(18, 4)) AS lake_rows;

-- Synapse serverless: gold/dim_date
CREATE VIEW [retail].[dim_date] AS SELECT [date], [year], [month], [week], [weekday], [day_of_year], [is_weekend], [holiday_name], [event_names] FROM OPENROWSET(BULK 'https://acme.dfs.core.windows.net/lake/retail/gold/dim_date/', FORMAT = 'DELTA') WITH ([date] DATE, [year] INTEGER, [month] INTEGER, [week] INTEGER, [weekday] INTEGER, [day_of_year] INTEGER, [is_weekend] BIT, [holiday_name] NVARCHAR(256), [event_names] NVARCHAR(4000)) AS lake_rows;

-- Synapse serverless: gold/dim_store
CREATE VIEW [retail].[dim_store] AS SELECT [store_id], [store_name], [region], [store_format], [opened_date], [closed_date], [valid_from], [valid_to], [is_current], [is_reconstructed] FROM OPENROWSET(BULK 'https://acme.dfs.core.windows.net/lake/retail/gold/dim_store/', FORMAT = 'DELTA') WITH ([store_id] NVARCHAR(128), [store_name] NVARCHAR(256), [region] NVARCHAR(256), [store_format] NVARCHAR(256), [opened_date] DATE, [closed_date] DATE, [valid_from] DATE, [valid_to] DATE, [is_current] BIT, [is_reconstructed] BIT) AS lake_rows;

-- Synapse serverless: gold/dim_product
CREATE VIEW [retail].[dim_product] AS SELECT [product_id], [product_name], [department], [category], [list_price], [unit_cost], [unit_step], [introduced_date], [discontinued_date], [valid_from], [valid_to], [is_current], [is_reconstructed] FROM OPENROWSET(BULK 'https://acme.dfs.core.windows.net/lake/retail/gold/dim_product/', FORMAT = 'DELTA') WITH ([product_id] NVARCHAR(128), [product_name] NVARCHAR(256), [department] NVARCHAR(256), [category] NVARCHAR(256), [list_price] NUMERIC(18, 4), [unit_cost] NUMERIC(18, 4), [unit_step] DOUBLE PRECISION, [introduced_date] DATE, [discontinued_date] DATE, [valid_from] DATE, [valid_to] DATE, [is_current] BIT, [is_reconstructed] BIT) AS lake_rows;

-- Synapse serverless: gold/dim_supplier
CREATE VIEW [retail].[dim_supplier] AS SELECT [supplier_id], [supplier_name], [lead_time_days], [min_order_value], [valid_from], [valid_to], [is_current], [is_reconstructed] FROM OPENROWSET(BULK 'https://acme.dfs.core.windows.net/lake/retail/gold/dim_supplier/', FORMAT = 'DELTA') WITH ([supplier_id] NVARCHAR(128), [supplier_name] NVARCHAR(256), [lead_time_days] INTEGER, [min_order_value] NUMERIC(18, 4), [valid_from] DATE, [valid_to] DATE, [is_current] BIT, [is_reconstructed] BIT) AS lake_rows;

-- Synapse serverless: gold/dim_customer
CREATE VIEW [retail].[dim_customer] AS SELECT [customer_id], [customer_segment], [region], [joined_date], [valid_from], [valid_to], [is_current], [is_reconstructed] FROM OPENROWSET(BULK 'https://acme.dfs.core.windows.net/lake/retail/gold/dim_customer/', FORMAT = 'DELTA') WITH ([customer_id] NVARCHAR(128), [customer_segment] NVARCHAR(256), [region] NVARCHAR(256), [joined_date] DATE, [valid_from] DATE, [valid_to] DATE, [is_current] BIT, [is_reconstructed] BIT) AS lake_rows;

-- Synapse serverless: gold/product_segments
CREATE VIEW [retail].[product_segments] AS SELECT [valid_from], [store_id], [product_id], [abc_class], [xyz_class], [demand_class], [mean_daily_units], [average_demand_interval_days], [squared_variation], [net_value] FROM OPENROWSET(BULK 'https://acme.dfs.core.windows.net/lake/retail/gold/product_segments/', FORMAT = 'DELTA') WITH ([valid_from] DATE, [store_id] NVARCHAR(128), [product_id] NVARCHAR(128), [abc_class] NVARCHAR(256), [xyz_class] NVARCHAR(256), [demand_class] NVARCHAR(256), [mean_daily_units] DOUBLE PRECISION, [average_demand_interval_days] DOUBLE PRECISION, [squared_variation] DOUBLE PRECISION, [net_value] NUMERIC(18, 4)) AS lake_rows;

-- Synapse serverless: forecast/demand_forecast
CREATE VIEW [retail].[demand_forecast] AS SELECT [as_of_date], [store_id], [product_id], [target_date], [horizon_days], [model_name], [mean_units], [p_zero], [q025], [q100], [q250], [q500], [q750], [q900], [q950], [q975], [q990], [q995], [model_version], [origin] FROM OPENROWSET(BULK 'https://acme.dfs.core.windows.net/lake/retail/forecast/demand_forecast/', FORMAT = 'DELTA') WITH ([as_of_date] DATE, [store_id] NVARCHAR(128), [product_id] NVARCHAR(128), [target_date] DATE, [horizon_days] INTEGER, [model_name] NVARCHAR(256), [mean_units] DOUBLE PRECISION, [p_zero] REAL, [q025] REAL, [q100] REAL, [q250] REAL, [q500] REAL, [q750] REAL, [q900] REAL, [q950] REAL, [q975] REAL, [q990] REAL, [q995] REAL, [model_version] NVARCHAR(256), [origin] NVARCHAR(256)) AS lake_rows;

-- Synapse serverless: forecast/forecast_accuracy
CREATE VIEW [retail].[forecast_accuracy] AS SELECT [target_date], [horizon_bucket], [segment], [origin], [series_days], [excluded_days], [actual_units], [absolute_error_units], [error_units], [naive_absolute_error_units], [wape], [bias], [rmsse], [pinball], [coverage_q500], [coverage_q900], [coverage_q950], [coverage_q975], [forecast_value_added] FROM OPENROWSET(BULK 'https://acme.dfs.core.windows.net/lake/retail/forecast/forecast_accuracy/', FORMAT = 'DELTA') WITH ([target_date] DATE, [horizon_bucket] NVARCHAR(128), [segment] NVARCHAR(128), [origin] NVARCHAR(128), [series_days] DOUBLE PRECISION, [excluded_days] DOUBLE PRECISION, [actual_units] DOUBLE PRECISION, [absolute_error_units] DOUBLE PRECISION, [error_units] DOUBLE PRECISION, [naive_absolute_error_units] DOUBLE PRECISION, [wape] DOUBLE PRECISION, [bias] DOUBLE PRECISION, [rmsse] DOUBLE PRECISION, [pinball] DOUBLE PRECISION, [coverage_q500] DOUBLE PRECISION, [coverage_q900] DOUBLE PRECISION, [coverage_q950] DOUBLE PRECISION, [coverage_q975] DOUBLE PRECISION, [forecast_value_added] DOUBLE PRECISION) AS lake_rows;

-- Synapse serverless: inventory/replenishment_plan
CREATE VIEW [retail].[replenishment_plan] AS SELECT [as_of_date], [store_id], [product_id], [supplier_id], [proposal_id], [order_date], [expected_delivery_date], [next_order_date], [next_delivery_date], [lead_time_days], [review_period_days], [protection_days], [service_measure], [service_level], [target_service_rate], [predicted_service_rate], [expected_waste_units], [on_hand_units], [on_order_units], [on_order_counted_units], [on_order_late_units], [on_order_beyond_units], [inventory_position_units], [demand_mean_units], [reorder_point_units], [order_up_to_units], [safety_stock_units], [pack_units], [qty_need_units], [qty_after_minimum_units], [qty_after_pack_units], [qty_after_cap_units], [qty_after_supplier_minimum_units], [qty_after_budget_units], [order_units], [unit_cost], [order_value], [expected_shortage_units], [lost_margin_avoided_value], [reason], [exception] FROM OPENROWSET(BULK 'https://acme.dfs.core.windows.net/lake/retail/inventory/replenishment_plan/', FORMAT = 'DELTA') WITH ([as_of_date] DATE, [store_id] NVARCHAR(128), [product_id] NVARCHAR(128), [supplier_id] NVARCHAR(128), [proposal_id] NVARCHAR(128), [order_date] DATE, [expected_delivery_date] DATE, [next_order_date] DATE, [next_delivery_date] DATE, [lead_time_days] INTEGER, [review_period_days] INTEGER, [protection_days] INTEGER, [service_measure] NVARCHAR(256), [service_level] DOUBLE PRECISION, [target_service_rate] DOUBLE PRECISION, [predicted_service_rate] DOUBLE PRECISION, [expected_waste_units] DOUBLE PRECISION, [on_hand_units] DOUBLE PRECISION, [on_order_units] DOUBLE PRECISION, [on_order_counted_units] DOUBLE PRECISION, [on_order_late_units] DOUBLE PRECISION, [on_order_beyond_units] DOUBLE PRECISION, [inventory_position_units] DOUBLE PRECISION, [demand_mean_units] DOUBLE PRECISION, [reorder_point_units] DOUBLE PRECISION, [order_up_to_units] DOUBLE PRECISION, [safety_stock_units] DOUBLE PRECISION, [pack_units] DOUBLE PRECISION, [qty_need_units] DOUBLE PRECISION, [qty_after_minimum_units] DOUBLE PRECISION, [qty_after_pack_units] DOUBLE PRECISION, [qty_after_cap_units] DOUBLE PRECISION, [qty_after_supplier_minimum_units] DOUBLE PRECISION, [qty_after_budget_units] DOUBLE PRECISION, [order_units] DOUBLE PRECISION, [unit_cost] NUMERIC(18, 4), [order_value] NUMERIC(18, 4), [expected_shortage_units] DOUBLE PRECISION, [lost_margin_avoided_value] NUMERIC(18, 4), [reason] NVARCHAR(4000), [exception] NVARCHAR(4000)) AS lake_rows;

-- Synapse serverless: inventory/inventory_health
CREATE VIEW [retail].[inventory_health] AS SELECT [as_of_date], [store_id], [product_id], [on_hand_units], [on_order_units], [stock_value], [mean_daily_units], [days_of_cover], [stock_out_probability], [expected_lost_units], [expected_lost_value], [excess_units], [excess_value], [expiring_units], [expiring_value], [days_since_sale], [status] FROM OPENROWSET(BULK 'https://acme.dfs.core.windows.net/lake/retail/inventory/inventory_health/', FORMAT = 'DELTA') WITH ([as_of_date] DATE, [store_id] NVARCHAR(128), [product_id] NVARCHAR(128), [on_hand_units] DOUBLE PRECISION, [on_order_units] DOUBLE PRECISION, [stock_value] NUMERIC(18, 4), [mean_daily_units] DOUBLE PRECISION, [days_of_cover] DOUBLE PRECISION, [stock_out_probability] DOUBLE PRECISION, [expected_lost_units] DOUBLE PRECISION, [expected_lost_value] NUMERIC(18, 4), [excess_units] DOUBLE PRECISION, [excess_value] NUMERIC(18, 4), [expiring_units] DOUBLE PRECISION, [expiring_value] NUMERIC(18, 4), [days_since_sale] INTEGER, [status] NVARCHAR(256)) AS lake_rows;

-- Synapse serverless: inventory/transfer_proposals
CREATE VIEW [retail].[transfer_proposals] AS SELECT [as_of_date], [product_id], [from_store_id], [to_store_id], [transfer_units], [lost_margin_avoided_value], [transfer_cost_value], [net_benefit_value], [reason] FROM OPENROWSET(BULK 'https://acme.dfs.core.windows.net/lake/retail/inventory/transfer_proposals/', FORMAT = 'DELTA') WITH ([as_of_date] DATE, [product_id] NVARCHAR(128), [from_store_id] NVARCHAR(128), [to_store_id] NVARCHAR(128), [transfer_units] DOUBLE PRECISION, [lost_margin_avoided_value] NUMERIC(18, 4), [transfer_cost_value] NUMERIC(18, 4), [net_benefit_value] NUMERIC(18, 4), [reason] NVARCHAR(4000)) AS lake_rows;

-- Synapse serverless: inventory/policy_replay
CREATE VIEW [retail].[policy_replay] AS SELECT [policy], [target_service_rate], [abc_class], [from_date], [to_date], [series_count], [cycle_count], [predicted_service_rate], [achieved_cycle_rate], [achieved_fill_rate], [mean_stock_units], [mean_stock_value], [lost_units], [lost_margin_value], [wasted_units], [wasted_value], [order_count], [holding_cost_value], [ordering_cost_value], [total_cost_value], [assumptions] FROM OPENROWSET(BULK 'https://acme.dfs.core.windows.net/lake/retail/inventory/policy_replay/', FORMAT = 'DELTA') WITH ([policy] NVARCHAR(128), [target_service_rate] DOUBLE PRECISION, [abc_class] NVARCHAR(128), [from_date] DATE, [to_date] DATE, [series_count] BIGINT, [cycle_count] BIGINT, [predicted_service_rate] DOUBLE PRECISION, [achieved_cycle_rate] DOUBLE PRECISION, [achieved_fill_rate] DOUBLE PRECISION, [mean_stock_units] DOUBLE PRECISION, [mean_stock_value] NUMERIC(18, 4), [lost_units] DOUBLE PRECISION, [lost_margin_value] NUMERIC(18, 4), [wasted_units] DOUBLE PRECISION, [wasted_value] NUMERIC(18, 4), [order_count] BIGINT, [holding_cost_value] NUMERIC(18, 4), [ordering_cost_value] NUMERIC(18, 4), [total_cost_value] NUMERIC(18, 4), [assumptions] NVARCHAR(4000)) AS lake_rows;

-- application database on sqlite: forecast_overrides
CREATE TABLE forecast_overrides (
	override_id VARCHAR(100) NOT NULL,
	store_id VARCHAR(100),
	product_id VARCHAR(100),
	from_date DATE NOT NULL,
	to_date DATE NOT NULL,
	mean_units FLOAT NOT NULL,
	reason VARCHAR(1000) NOT NULL,
	decided_by VARCHAR(1000) NOT NULL,
	decided_at DATETIME NOT NULL,
	PRIMARY KEY (override_id)
);

-- application database on sqlite: order_decisions
CREATE TABLE order_decisions (
	decision_id VARCHAR(100) NOT NULL,
	proposal_id VARCHAR(100) NOT NULL,
	store_id VARCHAR(100) NOT NULL,
	product_id VARCHAR(100) NOT NULL,
	supplier_id VARCHAR(100),
	decision VARCHAR(1000) NOT NULL,
	order_units FLOAT NOT NULL,
	order_date DATE NOT NULL,
	expected_delivery_date DATE NOT NULL,
	reason VARCHAR(1000),
	decided_by VARCHAR(1000) NOT NULL,
	decided_at DATETIME NOT NULL,
	proposed_units FLOAT NOT NULL,
	unit_cost FLOAT,
	export_id VARCHAR(100),
	exported_by VARCHAR(1000),
	exported_at DATETIME,
	PRIMARY KEY (decision_id),
	CONSTRAINT one_decision_per_proposal UNIQUE (proposal_id)
);

-- application database on postgresql: forecast_overrides
CREATE TABLE forecast_overrides (
	override_id VARCHAR(100) NOT NULL,
	store_id VARCHAR(100),
	product_id VARCHAR(100),
	from_date DATE NOT NULL,
	to_date DATE NOT NULL,
	mean_units FLOAT(53) NOT NULL,
	reason VARCHAR(1000) NOT NULL,
	decided_by VARCHAR(1000) NOT NULL,
	decided_at TIMESTAMP WITH TIME ZONE NOT NULL,
	PRIMARY KEY (override_id)
);

-- application database on postgresql: order_decisions
CREATE TABLE order_decisions (
	decision_id VARCHAR(100) NOT NULL,
	proposal_id VARCHAR(100) NOT NULL,
	store_id VARCHAR(100) NOT NULL,
	product_id VARCHAR(100) NOT NULL,
	supplier_id VARCHAR(100),
	decision VARCHAR(1000) NOT NULL,
	order_units FLOAT(53) NOT NULL,
	order_date DATE NOT NULL,
	expected_delivery_date DATE NOT NULL,
	reason VARCHAR(1000),
	decided_by VARCHAR(1000) NOT NULL,
	decided_at TIMESTAMP WITH TIME ZONE NOT NULL,
	proposed_units FLOAT(53) NOT NULL,
	unit_cost FLOAT(53),
	export_id VARCHAR(100),
	exported_by VARCHAR(1000),
	exported_at TIMESTAMP WITH TIME ZONE,
	PRIMARY KEY (decision_id),
	CONSTRAINT one_decision_per_proposal UNIQUE (proposal_id)
);

-- application database on mssql: forecast_overrides
CREATE TABLE forecast_overrides (
	override_id NVARCHAR(100) NOT NULL,
	store_id NVARCHAR(100) NULL,
	product_id NVARCHAR(100) NULL,
	from_date DATETIME NOT NULL,
	to_date DATETIME NOT NULL,
	mean_units FLOAT(53) NOT NULL,
	reason NVARCHAR(1000) NOT NULL,
	decided_by NVARCHAR(1000) NOT NULL,
	decided_at DATETIMEOFFSET NOT NULL,
	PRIMARY KEY (override_id)
);

-- application database on mssql: order_decisions
CREATE TABLE order_decisions (
	decision_id NVARCHAR(100) NOT NULL,
	proposal_id NVARCHAR(100) NOT NULL,
	store_id NVARCHAR(100) NOT NULL,
	product_id NVARCHAR(100) NOT NULL,
	supplier_id NVARCHAR(100) NULL,
	decision NVARCHAR(1000) NOT NULL,
	order_units FLOAT(53) NOT NULL,
	order_date DATETIME NOT NULL,
	expected_delivery_date DATETIME NOT NULL,
	reason NVARCHAR(1000) NULL,
	decided_by NVARCHAR(1000) NOT NULL,
	decided_at DATETIMEOFFSET NOT NULL,
	proposed_units FLOAT(53) NOT NULL,
	unit_cost FLOAT(53) NULL,
	export_id NVARCHAR(100) NULL,
	exported_by NVARCHAR(1000) NULL,
	exported_at DATETIMEOFFSET NULL,
	PRIMARY KEY (decision_id),
	CONSTRAINT one_decision_per_proposal UNIQUE (proposal_id)
);

