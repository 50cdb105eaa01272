"""The documented tables of Microsoft's sample databases, with a few rows, for the mappings that are shipped for them.

Columns that no mapping could mean (row identifiers, pictures, XML, addresses) are left out. Types are the nearest of
PostgreSQL: money is numeric(19, 4), datetime is timestamp, bit is boolean. Northwind's script also runs on SQLite.
"""

NORTHWIND = """
CREATE TABLE "Categories" ("CategoryID" integer PRIMARY KEY, "CategoryName" varchar(15) NOT NULL, "Description" text);
CREATE TABLE "Suppliers" ("SupplierID" integer PRIMARY KEY, "CompanyName" varchar(40) NOT NULL,
  "ContactName" varchar(30), "City" varchar(15), "Region" varchar(15), "Country" varchar(15), "Phone" varchar(24));
CREATE TABLE "Customers" ("CustomerID" char(5) PRIMARY KEY, "CompanyName" varchar(40) NOT NULL,
  "ContactName" varchar(30), "City" varchar(15), "Region" varchar(15), "Country" varchar(15), "Phone" varchar(24));
CREATE TABLE "Employees" ("EmployeeID" integer PRIMARY KEY, "LastName" varchar(20) NOT NULL,
  "FirstName" varchar(10) NOT NULL, "Title" varchar(30), "HireDate" timestamp, "Country" varchar(15));
CREATE TABLE "Shippers" ("ShipperID" integer PRIMARY KEY, "CompanyName" varchar(40) NOT NULL, "Phone" varchar(24));
CREATE TABLE "Products" ("ProductID" integer PRIMARY KEY, "ProductName" varchar(40) NOT NULL,
  "SupplierID" integer REFERENCES "Suppliers" ("SupplierID"),
  "CategoryID" integer REFERENCES "Categories" ("CategoryID"), "QuantityPerUnit" varchar(20),
  "UnitPrice" numeric(19, 4), "UnitsInStock" smallint, "UnitsOnOrder" smallint, "ReorderLevel" smallint,
  "Discontinued" boolean NOT NULL);
CREATE TABLE "Orders" ("OrderID" integer PRIMARY KEY, "CustomerID" char(5) REFERENCES "Customers" ("CustomerID"),
  "EmployeeID" integer REFERENCES "Employees" ("EmployeeID"), "OrderDate" timestamp, "RequiredDate" timestamp,
  "ShippedDate" timestamp, "ShipVia" integer REFERENCES "Shippers" ("ShipperID"), "Freight" numeric(19, 4),
  "ShipName" varchar(40), "ShipCity" varchar(15), "ShipCountry" varchar(15));
CREATE TABLE "Order Details" ("OrderID" integer NOT NULL REFERENCES "Orders" ("OrderID"),
  "ProductID" integer NOT NULL REFERENCES "Products" ("ProductID"), "UnitPrice" numeric(19, 4) NOT NULL,
  "Quantity" smallint NOT NULL, "Discount" real NOT NULL, PRIMARY KEY ("OrderID", "ProductID"));
INSERT INTO "Categories" VALUES (1, 'Drinks', NULL), (2, 'Sauces', 'Sweet and savoury');
INSERT INTO "Suppliers" VALUES (1, 'Harbour Teas', 'Ann', 'London', NULL, 'UK', NULL),
  (2, 'Hot Bayou', 'Bo', 'New Orleans', 'LA', 'USA', NULL);
INSERT INTO "Customers" VALUES ('ALPHA', 'Alpha Foods', 'Cy', 'Berlin', NULL, 'Germany', NULL),
  ('BETAS', 'Betas', 'Di', 'Boise', 'ID', 'USA', NULL);
INSERT INTO "Employees" VALUES (1, 'Moor', 'Eve', 'Sales Representative', '1992-05-01', 'USA');
INSERT INTO "Shippers" VALUES (1, 'Swift', NULL);
INSERT INTO "Products" VALUES (1, 'Black Tea', 1, 1, '10 boxes x 20 bags', 18, 39, 0, 10, false),
  (2, 'Green Tea', 1, 1, '24 bottles', 19, NULL, 40, 25, false),
  (3, 'Hot Sauce', 2, 2, '36 jars', 21.35, 0, 0, 0, true),
  (4, 'Gift Box', NULL, NULL, NULL, NULL, 5, 0, 0, false);
INSERT INTO "Orders" VALUES
  (10248, 'ALPHA', 1, '1996-07-04', '1996-08-01', '1996-07-16', 1, 32.38, 'Alpha', 'Berlin', 'Germany'),
  (10249, 'BETAS', 1, '1996-07-05', '1996-08-16', NULL, 1, 11.61, 'Betas', 'Boise', 'USA'),
  (10250, NULL, NULL, '1996-07-08', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO "Order Details" VALUES (10248, 1, 14.4, 12, 0), (10248, 3, 9.8, 10, 0.15), (10249, 3, 17.0667, 9, 0.05),
  (10250, 1, 15.2, 35, 0.25);
"""

ADVENTUREWORKS = """
CREATE SCHEMA "Sales"; CREATE SCHEMA "Production"; CREATE SCHEMA "Purchasing"; CREATE SCHEMA "Person";
CREATE TABLE "Person"."Person" ("BusinessEntityID" integer PRIMARY KEY, "PersonType" char(2) NOT NULL,
  "FirstName" varchar(50) NOT NULL, "LastName" varchar(50) NOT NULL, "ModifiedDate" timestamp NOT NULL);
CREATE TABLE "Production"."ProductCategory" ("ProductCategoryID" integer PRIMARY KEY, "Name" varchar(50) NOT NULL,
  "ModifiedDate" timestamp NOT NULL);
CREATE TABLE "Production"."ProductSubcategory" ("ProductSubcategoryID" integer PRIMARY KEY,
  "ProductCategoryID" integer NOT NULL REFERENCES "Production"."ProductCategory" ("ProductCategoryID"),
  "Name" varchar(50) NOT NULL, "ModifiedDate" timestamp NOT NULL);
CREATE TABLE "Production"."ProductModel" ("ProductModelID" integer PRIMARY KEY, "Name" varchar(50) NOT NULL,
  "ModifiedDate" timestamp NOT NULL);
CREATE TABLE "Production"."Product" ("ProductID" integer PRIMARY KEY, "Name" varchar(50) NOT NULL,
  "ProductNumber" varchar(25) NOT NULL, "MakeFlag" boolean NOT NULL, "FinishedGoodsFlag" boolean NOT NULL,
  "Color" varchar(15), "SafetyStockLevel" smallint NOT NULL, "ReorderPoint" smallint NOT NULL,
  "StandardCost" numeric(19, 4) NOT NULL, "ListPrice" numeric(19, 4) NOT NULL, "Weight" numeric(8, 2),
  "DaysToManufacture" integer NOT NULL, "Class" char(2),
  "ProductSubcategoryID" integer REFERENCES "Production"."ProductSubcategory" ("ProductSubcategoryID"),
  "ProductModelID" integer REFERENCES "Production"."ProductModel" ("ProductModelID"),
  "SellStartDate" timestamp NOT NULL, "SellEndDate" timestamp, "DiscontinuedDate" timestamp,
  "ModifiedDate" timestamp NOT NULL);
CREATE TABLE "Production"."Location" ("LocationID" smallint PRIMARY KEY, "Name" varchar(50) NOT NULL,
  "CostRate" numeric(10, 4) NOT NULL, "Availability" numeric(8, 2) NOT NULL, "ModifiedDate" timestamp NOT NULL);
CREATE TABLE "Production"."ProductInventory" (
  "ProductID" integer NOT NULL REFERENCES "Production"."Product" ("ProductID"),
  "LocationID" smallint NOT NULL REFERENCES "Production"."Location" ("LocationID"), "Shelf" varchar(10) NOT NULL,
  "Bin" smallint NOT NULL, "Quantity" smallint NOT NULL, "ModifiedDate" timestamp NOT NULL,
  PRIMARY KEY ("ProductID", "LocationID"));
CREATE TABLE "Production"."ProductListPriceHistory" (
  "ProductID" integer NOT NULL REFERENCES "Production"."Product" ("ProductID"), "StartDate" timestamp NOT NULL,
  "EndDate" timestamp, "ListPrice" numeric(19, 4) NOT NULL, "ModifiedDate" timestamp NOT NULL,
  PRIMARY KEY ("ProductID", "StartDate"));
CREATE TABLE "Production"."ProductCostHistory" (
  "ProductID" integer NOT NULL REFERENCES "Production"."Product" ("ProductID"), "StartDate" timestamp NOT NULL,
  "EndDate" timestamp, "StandardCost" numeric(19, 4) NOT NULL, "ModifiedDate" timestamp NOT NULL,
  PRIMARY KEY ("ProductID", "StartDate"));
CREATE TABLE "Production"."TransactionHistory" ("TransactionID" integer PRIMARY KEY,
  "ProductID" integer NOT NULL REFERENCES "Production"."Product" ("ProductID"), "ReferenceOrderID" integer NOT NULL,
  "ReferenceOrderLineID" integer NOT NULL, "TransactionDate" timestamp NOT NULL, "TransactionType" char(1) NOT NULL,
  "Quantity" integer NOT NULL, "ActualCost" numeric(19, 4) NOT NULL, "ModifiedDate" timestamp NOT NULL);
CREATE TABLE "Purchasing"."Vendor" ("BusinessEntityID" integer PRIMARY KEY, "AccountNumber" varchar(15) NOT NULL,
  "Name" varchar(50) NOT NULL, "CreditRating" smallint NOT NULL, "PreferredVendorStatus" boolean NOT NULL,
  "ActiveFlag" boolean NOT NULL, "ModifiedDate" timestamp NOT NULL);
CREATE TABLE "Purchasing"."ProductVendor" (
  "ProductID" integer NOT NULL REFERENCES "Production"."Product" ("ProductID"),
  "BusinessEntityID" integer NOT NULL REFERENCES "Purchasing"."Vendor" ("BusinessEntityID"),
  "AverageLeadTime" integer NOT NULL, "StandardPrice" numeric(19, 4) NOT NULL, "LastReceiptCost" numeric(19, 4),
  "LastReceiptDate" timestamp, "MinOrderQty" integer NOT NULL, "MaxOrderQty" integer NOT NULL, "OnOrderQty" integer,
  "UnitMeasureCode" char(3) NOT NULL, "ModifiedDate" timestamp NOT NULL,
  PRIMARY KEY ("ProductID", "BusinessEntityID"));
CREATE TABLE "Purchasing"."PurchaseOrderHeader" ("PurchaseOrderID" integer PRIMARY KEY,
  "RevisionNumber" smallint NOT NULL, "Status" smallint NOT NULL, "EmployeeID" integer NOT NULL,
  "VendorID" integer NOT NULL REFERENCES "Purchasing"."Vendor" ("BusinessEntityID"), "OrderDate" timestamp NOT NULL,
  "ShipDate" timestamp, "SubTotal" numeric(19, 4) NOT NULL, "ModifiedDate" timestamp NOT NULL);
CREATE TABLE "Purchasing"."PurchaseOrderDetail" (
  "PurchaseOrderID" integer NOT NULL REFERENCES "Purchasing"."PurchaseOrderHeader" ("PurchaseOrderID"),
  "PurchaseOrderDetailID" integer NOT NULL, "DueDate" timestamp NOT NULL, "OrderQty" smallint NOT NULL,
  "ProductID" integer NOT NULL REFERENCES "Production"."Product" ("ProductID"), "UnitPrice" numeric(19, 4) NOT NULL,
  "ReceivedQty" numeric(8, 2) NOT NULL, "RejectedQty" numeric(8, 2) NOT NULL, "ModifiedDate" timestamp NOT NULL,
  PRIMARY KEY ("PurchaseOrderID", "PurchaseOrderDetailID"));
CREATE TABLE "Sales"."SalesTerritory" ("TerritoryID" integer PRIMARY KEY, "Name" varchar(50) NOT NULL,
  "CountryRegionCode" varchar(3) NOT NULL, "Group" varchar(50) NOT NULL, "SalesYTD" numeric(19, 4) NOT NULL,
  "ModifiedDate" timestamp NOT NULL);
CREATE TABLE "Sales"."Store" ("BusinessEntityID" integer PRIMARY KEY, "Name" varchar(50) NOT NULL,
  "SalesPersonID" integer, "ModifiedDate" timestamp NOT NULL);
CREATE TABLE "Sales"."Customer" ("CustomerID" integer PRIMARY KEY,
  "PersonID" integer REFERENCES "Person"."Person" ("BusinessEntityID"),
  "StoreID" integer REFERENCES "Sales"."Store" ("BusinessEntityID"),
  "TerritoryID" integer REFERENCES "Sales"."SalesTerritory" ("TerritoryID"), "ModifiedDate" timestamp NOT NULL);
CREATE TABLE "Sales"."SpecialOffer" ("SpecialOfferID" integer PRIMARY KEY, "Description" varchar(255) NOT NULL,
  "DiscountPct" numeric(10, 4) NOT NULL, "Type" varchar(50) NOT NULL, "Category" varchar(50) NOT NULL,
  "StartDate" timestamp NOT NULL, "EndDate" timestamp NOT NULL, "MinQty" integer NOT NULL, "MaxQty" integer,
  "ModifiedDate" timestamp NOT NULL);
CREATE TABLE "Sales"."SpecialOfferProduct" (
  "SpecialOfferID" integer NOT NULL REFERENCES "Sales"."SpecialOffer" ("SpecialOfferID"),
  "ProductID" integer NOT NULL REFERENCES "Production"."Product" ("ProductID"), "ModifiedDate" timestamp NOT NULL,
  PRIMARY KEY ("SpecialOfferID", "ProductID"));
CREATE TABLE "Sales"."SalesOrderHeader" ("SalesOrderID" integer PRIMARY KEY, "RevisionNumber" smallint NOT NULL,
  "OrderDate" timestamp NOT NULL, "DueDate" timestamp NOT NULL, "ShipDate" timestamp, "Status" smallint NOT NULL,
  "OnlineOrderFlag" boolean NOT NULL, "PurchaseOrderNumber" varchar(25), "AccountNumber" varchar(15),
  "CustomerID" integer NOT NULL REFERENCES "Sales"."Customer" ("CustomerID"), "SalesPersonID" integer,
  "TerritoryID" integer REFERENCES "Sales"."SalesTerritory" ("TerritoryID"), "SubTotal" numeric(19, 4) NOT NULL,
  "ModifiedDate" timestamp NOT NULL);
CREATE TABLE "Sales"."SalesOrderDetail" (
  "SalesOrderID" integer NOT NULL REFERENCES "Sales"."SalesOrderHeader" ("SalesOrderID"),
  "SalesOrderDetailID" integer NOT NULL, "CarrierTrackingNumber" varchar(25), "OrderQty" smallint NOT NULL,
  "ProductID" integer NOT NULL, "SpecialOfferID" integer NOT NULL, "UnitPrice" numeric(19, 4) NOT NULL,
  "UnitPriceDiscount" numeric(19, 4) NOT NULL, "ModifiedDate" timestamp NOT NULL,
  PRIMARY KEY ("SalesOrderID", "SalesOrderDetailID"),
  FOREIGN KEY ("SpecialOfferID", "ProductID")
    REFERENCES "Sales"."SpecialOfferProduct" ("SpecialOfferID", "ProductID"));
INSERT INTO "Person"."Person" VALUES (1, 'IN', 'Ada', 'Hill', '2011-01-01');
INSERT INTO "Production"."ProductCategory" VALUES (1, 'Bikes', '2008-04-30'), (4, 'Accessories', '2008-04-30');
INSERT INTO "Production"."ProductSubcategory" VALUES (1, 1, 'Mountain Bikes', '2008-04-30'),
  (31, 4, 'Helmets', '2008-04-30');
INSERT INTO "Production"."ProductModel" VALUES (33, 'Sport-100', '2011-05-01');
INSERT INTO "Production"."Product" VALUES
  (1, 'Adjustable Race', 'AR-5381', false, false, NULL, 1000, 750, 0, 0, NULL, 0, NULL, NULL, NULL,
   '2008-04-30', NULL, NULL, '2014-02-08 10:01:36'),
  (707, 'Sport-100 Helmet', 'HL-U509', false, true, 'Red', 4, 3, 13.0863, 34.99, NULL, 0, NULL, 31, 33,
   '2011-05-31', NULL, NULL, '2014-02-08 10:01:36'),
  (771, 'Mountain-100', 'BK-M82S', true, true, 'Silver', 100, 75, 1912.1544, 3399.99, 20.35, 4, 'H ', 1, NULL,
   '2011-05-31', '2012-05-29', NULL, '2014-02-08 10:01:36');
INSERT INTO "Production"."Location" VALUES (1, 'Tool Crib', 0, 0, '2008-04-30'),
  (7, 'Finished Goods', 0, 0, '2008-04-30');
INSERT INTO "Production"."ProductInventory" VALUES (1, 1, 'A', 1, 408, '2014-08-08'), (1, 7, 'B', 5, 324, '2014-08-08'),
  (707, 7, 'N/A', 0, 288, '2014-08-08');
INSERT INTO "Production"."ProductListPriceHistory" VALUES (707, '2011-05-31', '2012-05-29', 33.6442, '2012-05-29'),
  (707, '2012-05-30', NULL, 34.99, '2012-05-30');
INSERT INTO "Production"."ProductCostHistory" VALUES (707, '2011-05-31', NULL, 13.0863, '2011-05-31');
INSERT INTO "Production"."TransactionHistory" VALUES
  (100000, 707, 43659, 1, '2011-05-31', 'S', 2, 20.1865, '2011-05-31');
INSERT INTO "Purchasing"."Vendor" VALUES (1492, 'AUSTRALI0001', 'Austral Bike Retailer', 1, true, true, '2011-04-25'),
  (1494, 'ALLENSON0001', 'Allenson Cycles', 2, true, false, '2011-04-25');
INSERT INTO "Purchasing"."ProductVendor" VALUES
  (1, 1492, 17, 47.87, 50.2635, '2011-08-29', 1, 5, 3, 'CS ', '2011-08-29'),
  (707, 1492, 19, 9.25, NULL, NULL, 100, 1000, NULL, 'CTN', '2011-08-25');
INSERT INTO "Purchasing"."PurchaseOrderHeader" VALUES
  (1, 4, 4, 258, 1492, '2011-04-16', '2011-04-25', 201.04, '2011-04-25'),
  (2, 1, 3, 254, 1492, '2011-04-17', NULL, 272.1, '2011-04-26 08:30:00');
INSERT INTO "Purchasing"."PurchaseOrderDetail" VALUES
  (1, 1, '2011-04-30', 4, 1, 50.26, 3, 1, '2011-04-23'), (2, 2, '2011-05-01', 3, 707, 45.12, 0, 0, '2011-04-24');
INSERT INTO "Sales"."SalesTerritory" VALUES (1, 'Northwest', 'US', 'North America', 7887186.79, '2008-04-30'),
  (6, 'Canada', 'CA', 'North America', 6771829.14, '2008-04-30');
INSERT INTO "Sales"."Store" VALUES (292, 'Next-Door Bike Store', 279, '2014-09-12');
INSERT INTO "Sales"."Customer" VALUES (1, 1, NULL, 1, '2014-09-12'), (2, NULL, 292, 6, '2014-09-12');
INSERT INTO "Sales"."SpecialOffer" VALUES
  (1, 'No Discount', 0, 'No Discount', 'No Discount', '2011-05-01', '2014-11-30', 0, NULL, '2011-04-01'),
  (7, 'Sport Helmet Sale', 0.1, 'Seasonal', 'Reseller', '2011-05-31', '2011-06-30', 0, NULL, '2011-04-01');
INSERT INTO "Sales"."SpecialOfferProduct" VALUES (1, 707, '2011-04-01'), (1, 771, '2011-04-01'), (7, 707, '2011-04-01');
INSERT INTO "Sales"."SalesOrderHeader" VALUES
  (43659, 8, '2011-05-31', '2011-06-12', '2011-06-07', 5, false, 'PO522145787', '10-4020-000676', 2, 279, 6, 60.56,
   '2011-06-07'),
  (43697, 8, '2011-06-01', '2011-06-13', '2011-06-08', 5, true, NULL, '10-4030-021768', 1, NULL, 1, 3399.99,
   '2011-06-08');
INSERT INTO "Sales"."SalesOrderDetail" VALUES (43659, 1, '4911-403C-98', 3, 707, 7, 20.1865, 0.1, '2011-05-31'),
  (43697, 353, NULL, 1, 771, 1, 3399.99, 0, '2011-06-01');
"""
