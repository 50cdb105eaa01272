-- Dagster keeps its runs in the database `retail`; planners' decisions have one of their own.
CREATE DATABASE application;
